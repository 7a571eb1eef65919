//! At home: the units as installed, under a real systemd as PID 1.

mod machine;

use chrono::{DateTime, TimeDelta, Utc};
use intermission::clock::wall;

use machine::{CONTACTS, KEY, Scene};

/// Long ago enough to be open, and too far away to be seen.
fn open() -> (DateTime<Utc>, DateTime<Utc>) {
    (wall() - TimeDelta::minutes(1), wall() + TimeDelta::hours(1))
}

/// Closes so soon that the test waits for it, and not before the pause.
fn closes_soon() -> (DateTime<Utc>, DateTime<Utc>) {
    (wall() - TimeDelta::minutes(1), wall() + TimeDelta::seconds(15))
}

fn over() -> (DateTime<Utc>, DateTime<Utc>) {
    (wall() - TimeDelta::minutes(1), wall() - TimeDelta::seconds(1))
}

impl Scene {
    #[track_caller]
    fn span(&self, (opens, closes): (DateTime<Utc>, DateTime<Utc>)) {
        self.configure(opens, closes);
    }

    /// Restarts do not make the test wait.
    #[track_caller]
    fn restarts_at_once(&self, more: &str) {
        self.drop_in("intermission.service", &format!("[Service]\nRestartSec=100ms\n{more}"));
    }

    #[track_caller]
    fn is_active(&self) {
        assert_eq!(self.show("ActiveState"), "active");
    }
}

#[test]
fn a_window_as_the_operator_sees_it() {
    let Some(scene) = Scene::begin() else { return };
    scene.span(open());
    // `start` ends when the service says that it is ready: it answers.
    scene.must("systemctl start intermission && intermission status");
    scene.until_paused();
    scene.wait("the status line tells", || scene.show("StatusText").starts_with("1 paused; next change "));
    assert!(scene.must("systemctl status intermission").contains("1 paused; next change "));

    let paused = scene.until_journal(&format!("-u intermission EVENT=paused SYNC_ID={CONTACTS}"));
    let [paused] = &paused[..] else { panic!("{paused:?}") };
    let message = paused["MESSAGE"].as_str().unwrap();
    assert!(message.starts_with("Paused sync `Contacts` for `patching`: until "), "{message}");
    for (field, value) in
        [("PRIORITY", "6"), ("SYNC_NAME", "Contacts"), ("WINDOW", "patching"), ("ORGANIZATION", "default")]
    {
        assert_eq!(paused[field], value, "{field}");
    }
    assert!(paused["MESSAGE_ID"].is_string());

    // A reload that is refused fails, and changes nothing.
    scene.must("echo 'windoe = 1' >>/etc/intermission/intermission.toml");
    let refused = scene.run("systemctl reload intermission");
    assert_ne!(refused.code, Some(0), "{}", refused.text);
    scene.is_active();
    scene.wait("the status line tells", || {
        let status = scene.show("StatusText");
        status.starts_with("1 paused") && status.contains("the configuration file is wrong")
    });
    let rejected = scene.until_journal("-u intermission EVENT=config_rejected PRIORITY=4");
    assert_eq!(rejected.len(), 1);
    scene.assert_paused();
    // The catalog says what to do about it.
    assert!(scene.must("journalctl --no-pager -x -u intermission").contains("intermission check"));

    scene.span(over());
    scene.must("systemctl reload intermission");
    scene.until_resumed();
    scene.wait("the status line tells", || scene.show("StatusText").starts_with("nothing is paused"));
    assert_eq!(scene.show("NRestarts"), "0");
    let key_told = scene.journal("").iter().any(|it| it.to_string().contains(KEY));
    assert!(!key_told, "the key is in the journal");
}

#[test]
fn killed_inside_a_window_it_comes_back_and_resumes() {
    let Some(scene) = Scene::begin() else { return };
    scene.restarts_at_once("");
    scene.span(open());
    scene.must("systemctl start intermission");
    scene.until_paused();
    // As the kernel does when memory is short, and as a process that gives up.
    for (restarts, signal) in [("1", "KILL"), ("2", "ABRT")] {
        scene.must(&format!("systemctl kill --kill-whom=main --signal={signal} intermission"));
        scene.wait("it is restarted", || {
            scene.show("NRestarts") == restarts && scene.show("ActiveState") == "active"
        });
    }
    scene.assert_paused();
    scene.span(over());
    scene.must("systemctl reload intermission");
    scene.until_resumed();
}

#[test]
fn a_loop_that_is_stuck_is_killed_by_the_watchdog() {
    let Some(scene) = Scene::begin() else { return };
    scene.restarts_at_once("WatchdogSec=5s\nTimeoutAbortSec=1s\n");
    scene.span(open());
    scene.must("systemctl start intermission");
    scene.until_paused();
    scene.must("systemctl kill --kill-whom=main --signal=STOP intermission");
    scene.wait("it is restarted", || scene.show("NRestarts") != "0" && scene.show("ActiveState") == "active");
    scene.span(over());
    scene.until_run("it takes the new file", "systemctl reload intermission");
    scene.until_resumed();
}

#[test]
fn stopped_inside_a_window_it_leaves_the_pause_to_the_next_start() {
    let Some(scene) = Scene::begin() else { return };
    scene.span(open());
    scene.must("systemctl start intermission");
    scene.until_paused();
    scene.must("systemctl stop intermission");
    assert_eq!(scene.show("Result"), "success");
    scene.assert_paused();
    scene.span(over());
    scene.must("systemctl start intermission");
    scene.until_resumed();
}

#[test]
fn with_a_broken_file_it_resumes_what_is_held() {
    let Some(scene) = Scene::begin() else { return };
    scene.span(closes_soon());
    scene.must("systemctl start intermission");
    scene.until_paused();
    scene.must("systemctl stop intermission");
    scene.put("/etc/intermission/intermission.toml", "[[window\n");
    scene.must("systemctl start intermission");
    scene.is_active();
    scene.wait("the status line tells", || scene.show("StatusText").contains("NO CONFIGURATION IN FORCE"));
    scene.until_resumed();
}

#[test]
fn why_it_does_not_start_is_an_error_in_the_journal() {
    let Some(scene) = Scene::begin() else { return };
    scene.put("/etc/intermission/intermission.toml", "[[window\n");
    assert_ne!(scene.run("systemctl start intermission").code, Some(0));
    scene.wait("the journal tells", || {
        let told = scene.journal("-u intermission -t intermission -p err");
        told.iter().any(|it| it["MESSAGE"] == "error: the configuration is wrong")
    });
    scene.must("systemctl stop intermission");
}

#[test]
fn the_failsafe_resumes_what_a_masked_service_left() {
    let Some(scene) = Scene::begin() else { return };
    scene.must("systemctl start intermission-failsafe && test ! -e /var/lib/intermission/ledger.db");
    scene.span(closes_soon());
    scene.must("systemctl start intermission");
    scene.until_paused();

    // Beside a daemon that is alive it does nothing, and that is no failure.
    let note = "[Service]\nExecStopPost=+/bin/sh -c 'echo $SERVICE_RESULT $EXIT_STATUS >/run/ended'\n";
    scene.drop_in("intermission-failsafe.service", note);
    scene.must("systemctl start intermission-failsafe");
    assert_eq!(scene.must("cat /run/ended").trim(), "success 75");
    // Every five minutes, so without an error in the journal.
    scene.must("journalctl --sync && ! journalctl -t intermission | grep 'holds the ledger'");

    scene.must("systemctl mask --now intermission");
    scene.put("/etc/intermission/intermission.toml", "[[window\n");
    scene.drop_in(
        "intermission-failsafe.timer",
        "[Timer]\nOnBootSec=\nOnBootSec=1s\nOnUnitInactiveSec=1s\nAccuracySec=1ms\n",
    );
    scene.must("systemctl start intermission-failsafe.timer");
    scene.until_resumed();
    // Not by unit: whose message it is, the journal cannot always tell of a process
    // that has ended.
    assert_eq!(scene.until_journal("-t intermission EVENT=resumed").len(), 1);
    scene.must("systemctl stop intermission-failsafe.timer");
}

#[test]
fn the_status_page_is_served_within_the_units_confinement() {
    let Some(scene) = Scene::begin() else { return };
    scene.span(open());
    scene.must("printf '[web]\\nlisten = \"127.0.0.1:0\"\\n' >>/etc/intermission/intermission.toml");
    scene.must("systemctl start intermission");
    scene.until_paused();
    let said = scene.must("journalctl --no-pager --output=cat -u intermission --grep='Status page on'");
    let address = said.split_whitespace().last().unwrap();
    let page = scene.must(&format!("curl --fail --silent --show-error --noproxy '*' {address}"));
    assert!(page.contains("1 sync is paused"), "{page}");
}

#[test]
fn a_new_credential_takes_a_restart() {
    let Some(scene) = Scene::begin() else { return };
    let credential = "/etc/intermission/credential";
    scene.put(credential, "another-key");
    scene.must(&format!("chmod 0600 {credential}"));
    scene.drop_in(
        "intermission.service",
        &format!("[Service]\nLoadCredential=polytomic-api-key:{credential}\n"),
    );
    let (opens, closes) = open();
    scene.configure_with("", opens, closes);
    scene.must("systemctl start intermission");
    scene.until_journal("-u intermission EVENT=pause_failed PRIORITY=4");
    scene.put(credential, KEY);
    // systemd hands credentials over when it starts a service, and not again.
    scene.must("systemctl reload intermission");
    scene.must(&format!("! grep --quiet {KEY} /run/credentials/intermission.service/polytomic-api-key"));
    scene.must("systemctl restart intermission");
    scene.until_paused();
    scene.must("intermission resume --all");
    scene.until_resumed();
}

#[test]
fn a_journal_that_takes_nothing_delays_no_pass() {
    let Some(scene) = Scene::begin() else { return };
    scene.drop_in("intermission.service", "[Service]\nEnvironment=INTERMISSION_LOG=trace\n");
    scene.span(open());
    scene.must("systemctl start intermission");
    scene.until_paused();
    let journald = scene.must("systemctl show --value --property=MainPID systemd-journald");
    let journald = journald.trim();
    scene.must(&format!("kill -STOP {journald}"));
    scene.span(over());
    let reloaded = scene.run("timeout 30 intermission reload");
    scene.until_resumed();
    let answered = scene.run("timeout 30 intermission status --exit-code");
    scene.must(&format!("kill -CONT {journald}"));
    assert_eq!((reloaded.code, answered.code), (Some(0), Some(0)), "{} {}", reloaded.text, answered.text);
}

#[test]
fn members_of_the_group_may_use_the_control_socket_and_are_known() {
    let Some(scene) = Scene::begin() else { return };
    scene.span(open());
    scene.must("systemctl start intermission");
    scene.until_paused();
    let by = |groups: &str, command: &str| {
        scene.run(&format!("setpriv --reuid nobody --regid nogroup {groups} intermission {command}"))
    };
    let stranger = by("--clear-groups", "resume --all");
    assert_eq!(stranger.code, Some(69), "{}", stranger.text);
    scene.assert_paused();
    let member = by("--groups intermission", "resume --all");
    assert_eq!(member.code, Some(0), "{}", member.text);
    scene.until_resumed();
    let told = scene.until_journal("-u intermission EVENT=operator_resume");
    let [told] = &told[..] else { panic!("{told:?}") };
    // The user `nobody`, as everywhere.
    assert_eq!(told["BY"], "operator (uid 65534, nobody)");
}

#[test]
fn windows_wait_for_the_clock_and_the_network() {
    let Some(scene) = Scene::begin() else { return };
    let after = scene.show("After");
    for target in ["time-sync.target", "network-online.target"] {
        assert!(after.split(' ').any(|it| it == target), "{after}");
    }
}
