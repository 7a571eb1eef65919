//! Organizations whose answers cannot be believed, and proxies on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use intermission::simulator::{Apply, Fault, Operation, Reply, Rule};

use super::{Place, id, much_later, soon, until, window, window_of};

/// What an organization answers to everything, and what the log says of it.
fn garbage() -> Vec<(&'static str, Reply, &'static str)> {
    let elsewhere = Reply::Redirect { to: "http://127.0.0.1:9/api".to_owned() };
    vec![
        ("html", Reply::Html, "web page (a proxy, or a wrong `url`?)"),
        ("wrong-id", Reply::WrongId, "the answer is about another sync"),
        ("opposite", Reply::ActiveOpposite, "the API answered that the sync is on"),
        ("endless", Reply::Endless, "the answer is larger than 1 MiB"),
        ("redirect", elsewhere, "redirects are not followed (check `url`)"),
        ("reset", Reply::Reset, "the connection broke before an answer"),
    ]
}

#[test]
fn garbage_from_some_organizations_delays_no_other_and_is_named() {
    let garbage = garbage();
    let mut names: Vec<&str> = garbage.iter().map(|(name, ..)| *name).collect();
    names.push("good");
    let place = Place::with(&names);
    let good = place.model("good", id(0));
    let bad: Vec<_> = (1..).zip(&garbage).map(|(number, (name, ..))| place.model(name, id(number))).collect();
    for (sync, (_, reply, _)) in bad.iter().zip(&garbage) {
        let fault = Fault::new(Apply::Never, reply.clone());
        // The opposite of a look would be a state that one may believe.
        for operation in [Operation::Look, Operation::Pause] {
            if operation == Operation::Pause || *reply != Reply::ActiveOpposite {
                place.world().add_rule(Rule::always(fault.clone()).on(operation).of(*sync));
            }
        }
    }
    let windows = |times| {
        let of = |name, sync| window_of(name, name, times, &[sync], &[]);
        let bad = garbage.iter().zip(&bad).map(|((name, ..), sync)| of(name, *sync));
        bad.chain([of("good", good)]).collect::<Vec<_>>()
    };
    let (opens, too_late) = (soon(5), soon(65));
    place.write(&windows((opens, much_later())));
    let daemon = place.start();
    place.until_held(good);
    let paused = place.world().changes_of(good).next().unwrap().at;
    assert!(opens <= paused, "paused {paused}, before {opens}");
    assert!(paused < too_late, "paused as late as {paused}, because of others");
    for ((name, _, words), sync) in garbage.iter().zip(&bad) {
        until(&format!("the log names what is wrong with `{name}`"), || {
            let log = daemon.log();
            log.lines().any(|line| line.contains(words) && line.contains(&sync.to_string()))
        });
        assert!(place.is_active(*sync), "{name} was paused");
    }

    place.world().clear_faults();
    for sync in &bad {
        place.until_held(*sync);
    }
    place.write(&windows((opens, soon(1))));
    place.reload();
    for sync in bad.iter().chain([&good]) {
        place.until_active(*sync);
    }
    place.until_no_rows();
}

/// Passes requests in absolute form on to this address, whatever they name.
fn proxy(to: SocketAddr) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let passed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&passed);
    // It waits for connections until the tests end.
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let count = Arc::clone(&count);
            std::thread::spawn(move || pass(stream, to, &count));
        }
    });
    (url, passed)
}

/// One connection, until either side has enough.
fn pass(mut client: TcpStream, to: SocketAddr, passed: &AtomicUsize) -> Option<()> {
    let mut server = TcpStream::connect(to).ok()?;
    let (mut back, mut answers) = (client.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let read = client.read(&mut chunk).ok().filter(|read| 0 < *read)?;
        bytes.extend_from_slice(&chunk[..read]);
        // A head is passed on whole, and then whatever follows it.
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if text.contains("\r\n\r\n") || !text.contains("HTTP/1.1") {
            passed.fetch_add(usize::from(text.contains(NAME)), Relaxed);
            server.write_all(text.replacen(&format!("http://{NAME}"), "", 1).as_bytes()).ok()?;
            bytes.clear();
        }
    }
}

/// Never resolves (RFC 6761): whoever reaches it went through the proxy.
const NAME: &str = "polytomic.invalid";

#[test]
fn the_environments_proxy_is_used_only_if_the_file_says_so() {
    for goes_through in [true, false] {
        let place = Place::new();
        let sync = place.model("default", id(1));
        let (url, passed) = proxy(place.address);
        place.write(&[window("patching", (soon(1), much_later()), &[sync])]);
        let text = std::fs::read_to_string(place.config()).unwrap();
        let own = format!("url = \"http://{}\"\n", place.address);
        let through = format!("url = \"http://{NAME}\"\nproxy = \"environment\"\n");
        let new = if goes_through { &through } else { &own };
        place.write_text(text.replace(&own, new));
        let mut command = place.command(&["run"]);
        command.env("HTTP_PROXY", &url).env("HTTPS_PROXY", &url);
        let _daemon = place.spawn(command);
        place.until_held(sync);
        assert_eq!(0 < passed.load(Relaxed), goes_through);
    }
}

#[test]
fn the_environment_may_take_a_host_out_of_the_proxys_reach() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    // Nobody listens there: what goes that way fails.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    place.write(&[window("patching", (soon(1), much_later()), &[sync])]);
    let text = std::fs::read_to_string(place.config()).unwrap();
    place.write_text(text.replace("request_timeout", "proxy = \"environment\"\nrequest_timeout"));
    let mut command = place.command(&["run"]);
    command.env("HTTP_PROXY", format!("http://{nobody}")).env("NO_PROXY", "127.0.0.1");
    let _daemon = place.spawn(command);
    place.until_held(sync);
}
