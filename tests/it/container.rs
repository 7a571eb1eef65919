//! The image and the Kubernetes manifest, as far as that can be seen without an
//! engine: what they name is there, and what must not be forgotten is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The objects of the manifest, each under its kind.
fn manifest() -> Vec<Value> {
    let text = read("packaging/kubernetes.yaml");
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("packaging/kubernetes.yaml is YAML");
    let kinds: Vec<&Value> = objects.iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["ConfigMap", "PersistentVolumeClaim", "Deployment"]);
    objects
}

/// The one container, and the specification of its pod.
fn container() -> (Value, Value) {
    let [_, _, deployment]: [Value; 3] = manifest().try_into().unwrap();
    let pod = deployment["spec"]["template"]["spec"].clone();
    assert_eq!(pod["containers"].as_array().map(Vec::len), Some(1));
    (pod["containers"][0].clone(), pod)
}

/// The instructions of the Containerfile: the word, and what follows it.
fn instructions() -> Vec<(String, String)> {
    let text = read("packaging/Containerfile");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let joined = lines.join("\n").replace("\\\n", " ");
    let split = joined.lines().map(|line| line.split_once(' ').expect("an instruction has an argument"));
    split.map(|(word, rest)| (word.to_owned(), rest.trim().to_owned())).collect()
}

/// Of the last stage, which is the image.
fn instruction(word: &str) -> String {
    let all = instructions();
    let last = all.iter().rposition(|(it, _)| it == "FROM").unwrap();
    let found: Vec<&String> = all[last..].iter().filter(|(it, _)| it == word).map(|(_, rest)| rest).collect();
    assert_eq!(found.len(), 1, "{word}");
    found[0].clone()
}

/// The arguments after the binary, as our own command line takes them.
fn assert_accepted(command: &[&str]) {
    let (binary, arguments) = command.split_first().unwrap();
    assert_eq!(*binary, "/usr/bin/intermission");
    // With `--help` the arguments before it are still parsed.
    let output = Command::new(env!("CARGO_BIN_EXE_intermission")).args(arguments).arg("--help").output();
    let output = output.unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|it| it.as_str().expect("a list of texts")).collect()
}

#[test]
fn the_image_copies_only_what_is_there() {
    let mut copied = 0;
    for (word, rest) in instructions() {
        let words: Vec<&str> = rest.split(' ').collect();
        if word != "COPY" || words[0].starts_with("--from=") {
            continue;
        }
        for source in &words[..words.len() - 1] {
            assert!(root().join(source).exists(), "the Containerfile copies `{source}`");
            copied += 1;
        }
    }
    assert!(copied > 5, "only {copied} sources were found");
}

#[test]
fn the_image_is_built_from_everything_that_the_code_includes() {
    let sources: Vec<String> = instructions()
        .into_iter()
        .filter(|(word, rest)| word == "COPY" && !rest.starts_with("--from="))
        .flat_map(|(_, rest)| rest.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap_or_default();
            for included in text.split("include_str!(\"").skip(1).map(|rest| rest.split('"').next().unwrap())
            {
                let file = path.parent().unwrap().join(included).canonicalize().unwrap();
                let file = file.strip_prefix(root().canonicalize().unwrap()).unwrap().to_owned();
                let is_copied = sources.iter().any(|it| file.starts_with(Path::new(it)));
                assert!(is_copied, "{} includes {}, which the image lacks", path.display(), file.display());
            }
        }
    }
}

#[test]
fn the_image_is_built_by_the_pinned_toolchain() {
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = toolchain["toolchain"]["channel"].as_str().unwrap();
    let minor: String = channel.split('.').take(2).collect::<Vec<_>>().join(".");
    let (_, first) = &instructions()[0];
    assert!(first.contains(&format!("rust:{minor}-")), "{first} is not {channel}");
}

#[test]
fn the_image_runs_our_commands_and_not_as_root() {
    assert_eq!(instruction("USER"), "65532:65532");
    let list = |text: &str| serde_json::from_str::<Value>(text).expect("the exec form");
    let entry = list(&instruction("ENTRYPOINT"));
    let run = list(&instruction("CMD"));
    assert_accepted(&[strings(&entry), strings(&run)].concat());
    let check = instruction("HEALTHCHECK");
    let check = list(check.split_once("CMD").unwrap().1.trim());
    assert_accepted(&strings(&check));
}

#[test]
fn there_is_one_pod_and_never_two() {
    let [_, claim, deployment]: [Value; 3] = manifest().try_into().unwrap();
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert_eq!(deployment["spec"]["strategy"]["type"], "Recreate");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
    let labels = &deployment["spec"]["template"]["metadata"]["labels"];
    assert_eq!(&deployment["spec"]["selector"]["matchLabels"], labels);
}

#[test]
fn the_pod_may_do_nothing_that_it_need_not() {
    let (container, pod) = container();
    assert_eq!(pod["automountServiceAccountToken"], false);
    let all = &pod["securityContext"];
    assert_eq!(
        (&all["runAsNonRoot"], &all["seccompProfile"]["type"]),
        (&json!(true), &json!("RuntimeDefault"))
    );
    assert_eq!(instruction("USER"), format!("{}:{}", all["runAsUser"], all["runAsGroup"]));
    let own = &container["securityContext"];
    assert_eq!(own["allowPrivilegeEscalation"], false);
    assert_eq!(own["readOnlyRootFilesystem"], true);
    assert_eq!(own["capabilities"]["drop"], json!(["ALL"]));
}

#[test]
fn probes_ask_the_daemon_in_words_that_it_knows() {
    let (container, _) = container();
    assert_accepted(&[&["/usr/bin/intermission"], &strings(&container["args"])[..]].concat());
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let command = strings(&container[probe]["exec"]["command"]);
        assert_accepted(&command);
        // Without it, a daemon that is gone would look well: the ledger is read.
        assert!(command.contains(&"--daemon"), "{probe}: {command:?}");
        // The command itself gives up after ten seconds.
        assert!(container[probe]["timeoutSeconds"].as_u64() > Some(10), "{probe}");
    }
    // What is overdue does not get better by a restart.
    assert!(!strings(&container["livenessProbe"]["exec"]["command"]).contains(&"--exit-code"));
}

#[test]
fn the_pod_keeps_its_ledger_and_finds_its_key() {
    let (container, pod) = container();
    let environment = instruction("ENV");
    let mounted = |name: &str| {
        let mounts = container["volumeMounts"].as_array().unwrap();
        let mount = mounts.iter().find(|it| it["name"] == name);
        mount.unwrap_or_else(|| panic!("{name} is not mounted"))["mountPath"].as_str().unwrap().to_owned()
    };
    assert!(environment.contains(&format!("STATE_DIRECTORY={} ", mounted("state"))), "{environment}");
    assert!(environment.ends_with(&format!("RUNTIME_DIRECTORY={}", mounted("run"))), "{environment}");
    let volumes = pod["volumes"].as_array().unwrap();
    let of = |name: &str| volumes.iter().find(|it| it["name"] == name).unwrap();
    assert_eq!(of("state")["persistentVolumeClaim"]["claimName"], manifest()[1]["metadata"]["name"]);
    // Not for others: a key that everybody can read is refused.
    assert_eq!(of("key")["secret"]["defaultMode"].as_u64().map(|mode| mode & 0o007), Some(0));

    let config = manifest()[0]["data"]["intermission.toml"].as_str().unwrap().to_owned();
    let parsed: toml::Table = config.parse().unwrap();
    let key = parsed["polytomic"]["api_key_file"].as_str().unwrap();
    assert_eq!(Path::new(key).parent(), Some(Path::new(&mounted("key"))));
    assert_eq!(mounted("configuration"), "/etc/intermission");
}

/// The configurations that are handed out are good, but for the key.
#[test]
fn what_is_handed_out_is_a_configuration_without_a_window() {
    let config = manifest()[0]["data"]["intermission.toml"].as_str().unwrap().to_owned();
    for text in [config, read("packaging/debian/intermission.toml")] {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let parsed: toml::Table = text.parse().unwrap();
        let named = parsed["polytomic"]["api_key_file"].as_str().unwrap();
        let config = folder.path().join("intermission.toml");
        fs::write(&config, text.replace(named, key.to_str().unwrap())).unwrap();
        fs::write(&key, "of-no-use\n").unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let checked = |text: Option<&str>| {
            if let Some(text) = text {
                fs::write(&config, text).unwrap();
            }
            let mut command = Command::new(env!("CARGO_BIN_EXE_intermission"));
            let output =
                command.args(["check", "--format", "json", "--config"]).arg(&config).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice::<Value>(&output.stdout).unwrap()
        };
        assert_eq!(checked(None)["windows"], json!([]));
        // The window that is commented out is one.
        let text = fs::read_to_string(&config).unwrap();
        let (before, window) = text.split_once("#[[window]]").expect("an example");
        let window = format!("#[[window]]{window}").replace("\n#", "\n").replacen('#', "", 1);
        assert_eq!(checked(Some(&format!("{before}{window}")))["syncs"], 1);
    }
}
