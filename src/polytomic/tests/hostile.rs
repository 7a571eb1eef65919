//! Answers that no API gives: from proxies, from other protocols, from malice.

use super::*;

/// What a pause meets, and how often it was sent.
async fn paused(bytes: Vec<u8>) -> (Verdict, usize) {
    let server = Server::start(&[Act::Cut(bytes)]).await;
    let verdict = client(&server.url).set_active(&model(), false).await;
    (verdict, server.heard().len())
}

async fn check(bytes: impl Into<Vec<u8>>, expected: &str, words: &str) {
    let bytes = bytes.into();
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    let (verdict, posts) = paused(bytes).await;
    assert_eq!((told(&verdict).as_str(), posts), (expected, 1), "{shown}");
    let said = verdict.failure().map(|it| it.message.clone()).unwrap_or_default();
    assert!(said.contains(words), "`{said}` does not say `{words}`: {shown}");
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn what_is_packed_although_nobody_asked_confirms_nothing() {
    let packed = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00";
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n", packed.len());
    check([head.as_bytes(), packed].concat(), "unknown malformed", "no JSON").await;
}

#[tokio::test]
async fn a_proxys_own_pages_are_no_confirmation() {
    let page = "<!doctype html><title>Sign in</title>";
    check(ok("content-type: text/html\r\n", page), "unknown malformed", "a proxy, or a wrong `url`?").await;
    for (status, expected, words) in [
        (407, "refused rejected", "from a proxy that wants a password: check `proxy`"),
        (502, "unknown server", "the API answered 502"),
    ] {
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{page}", page.len());
        check(head, expected, words).await;
    }
}

#[tokio::test]
async fn the_body_counts_and_not_what_its_type_is_called() {
    check(ok("content-type: text/plain\r\n", &data(ID, false)), "applied", "").await;
    check(ok("content-type: application/json\r\n", "<html>"), "unknown malformed", "web page").await;
}

#[tokio::test]
async fn what_says_two_things_says_nothing() {
    let twice = format!(r#"{{"data":{{"id":"{ID}","active":true,"active":false}}}}"#);
    check(ok("", &twice), "unknown malformed", "not as the API writes it").await;
    let twice = format!(r#"{{"data":{{"id":"{OTHER_ID}","id":"{ID}","active":false}}}}"#);
    check(ok("", &twice), "unknown malformed", "not as the API writes it").await;
    let twice = format!(r#"{{"data":{{"id":"{ID}","active":true}},{}"#, &data(ID, false)[1..]);
    check(ok("", &twice), "unknown malformed", "not as the API writes it").await;
    let huge = format!(r#"{{"data":{{"id":"{ID}","active":1e999}}}}"#);
    check(ok("", &huge), "unknown malformed", "").await;
    let deep = format!(r#"{{"data":{{"x":{}}}}}"#, "[".repeat(50_000));
    check(ok("", &deep), "unknown malformed", "no JSON").await;
}

#[tokio::test]
async fn other_framings_of_the_same_answer_are_read() {
    let body = data(ID, false);
    check(format!("HTTP/1.0 200 OK\r\n\r\n{body}"), "applied", "").await;
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(20);
    check(format!("{early}{}", ok("", &body)), "applied", "").await;
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(format!("{chunked}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()), "applied", "").await;
    check(format!("{chunked}{:x}\r\n{body}\r\n", body.len()), "unknown malformed", "cut short").await;
}

#[tokio::test]
async fn a_thousand_headers_are_not_swallowed() {
    let many = "x-one: y\r\n".repeat(1000);
    check(ok(&many, &data(ID, false)), "unknown lost", "the connection broke").await;
}

#[tokio::test]
async fn a_proxy_that_wants_a_password_for_a_tunnel_is_named() {
    let proxy = Server::start(&[answer(407, &[], "")]).await;
    let organization =
        Organization { proxy: Proxy::Url(proxy.url.clone()), ..organization("https://polytomic.invalid") };
    let ca_file = Some(tls::file("ca.pem"));
    let client = Client::new(&Organization { ca_file, ..organization }, limits(), always(KEY)).unwrap();
    let verdict = client.set_active(&model(), false).await;
    assert_eq!(told(&verdict), "refused not_sent");
    let said = verdict.failure().unwrap();
    assert!(said.message.contains("the proxy wants a password: check `proxy`"), "{said}");
    assert!(proxy.heard()[0].starts_with("CONNECT polytomic.invalid:443 "), "{:?}", proxy.heard());
    assert!(!proxy.heard()[0].contains(KEY), "the proxy was shown the key");
}
