//! The status page's address is taken by somebody else.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::{Place, id, much_later, soon, until, window};

/// Has the page served there too.
fn serve_at(place: &Place, address: SocketAddr) {
    let text = fs::read_to_string(place.config()).unwrap();
    place.write_text(text.replace("[web]\n", &format!("[web]\nlisten = \"{address}\"\n")));
}

/// The answer, if it is a good one.
fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.1 200 ").then_some(answer)
}

fn is_ready(address: SocketAddr) -> bool {
    get(address, "/readyz").is_some()
}

#[test]
fn a_taken_address_ends_a_start_unless_a_resume_is_owed() {
    let place = Place::new();
    let sync = place.model("default", id(1));
    let windows = [window("w", (soon(-60), much_later()), &[sync])];
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();

    place.write(&windows);
    serve_at(&place, address);
    let refused = place.run(&["run"]).with(1);
    assert!(refused.err.contains(&format!("could not listen on {address}")), "{}", refused.err);
    assert!(place.is_active(sync));

    place.write(&windows);
    let daemon = place.start();
    place.until_held(sync);
    daemon.kill();

    serve_at(&place, address);
    let daemon = place.start();
    until("the daemon answers", || place.status().is_some());
    assert!(daemon.log().contains("There is no status page"), "{}", daemon.log());

    drop(taken);
    place.reload();
    until("the page is served", || is_ready(address));
    for (path, told) in [
        (format!("/sync/default/model/{}", id(1)), "it is paused"),
        ("/window/w".to_owned(), "Open until"),
        ("/api/v1/plan".to_owned(), "\"desired\":\"paused\""),
        ("/calendar.ics".to_owned(), "SUMMARY:w: 1 sync paused"),
        ("/timeline.svg".to_owned(), "<title>w: "),
    ] {
        let answer = get(address, &path).unwrap_or_else(|| panic!("{path} is not there"));
        assert!(answer.contains(told), "{told}: {answer}");
    }

    // Taken out of the file, it is gone.
    place.write(&windows);
    place.reload();
    until("the page is gone", || !is_ready(address));
}
