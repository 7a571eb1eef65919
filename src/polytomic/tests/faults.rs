//! Networks, and servers that break off in the middle.

use super::*;

/// An answer of 200 that promises more than these bytes.
fn promising(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{body}").into_bytes()
}

async fn check(acts: &[Act], expected: &str, words: &str) {
    let server = Server::start(acts).await;
    let verdict = impatient(&server.url).set_active(&model(), false).await;
    assert_eq!(told(&verdict), expected, "{acts:.200?}");
    let failure = verdict.failure().unwrap();
    assert!(failure.message.contains(words), "{failure} does not say {words}");
    assert!(server.heard().len() <= 1, "sent again: {:?}", server.heard());
}

#[tokio::test]
async fn whatever_breaks_off_after_sending_is_unknown() {
    let whole = data(ID, false);
    check(&[Act::Reset], "unknown lost", "the connection broke").await;
    check(&[Act::ResetAtOnce], "unknown lost", "the connection broke").await;
    check(&[Act::Cut(Vec::new())], "unknown lost", "the connection broke").await;
    check(&[Act::Cut(b"HTTP/1.1 200 OK\r\ncont".to_vec())], "unknown lost", "the connection broke").await;
    check(&[Act::Cut(promising(&whole))], "unknown malformed", "cut short").await;
    check(&[Act::Cut(b"SSH-2.0-OpenSSH_9.9\r\n\r\n".to_vec())], "unknown lost", "the connection broke").await;
    check(&[Act::Hang], "unknown timeout", "no answer within 300ms").await;
    check(&[Act::Drip(promising(&whole))], "unknown timeout", "no whole answer within 300ms").await;
    check(
        &[Act::Cut(b"HTTP/1.1 200 OK\r\nx: \xff\xfe\r\ncontent-length: 0\r\n\r\n".to_vec())],
        "unknown malformed",
        "without a body",
    )
    .await;
}

#[tokio::test]
async fn no_more_than_1_mib_is_read() {
    let chunk = [b"8000\r\n".as_slice(), &b" ".repeat(0x8000), b"\r\n"].concat();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    for act in [
        Act::Endless([&head[..], &chunk.repeat(40)].concat()),
        Act::Cut(b"HTTP/1.1 200 OK\r\ncontent-length: 52428800\r\n\r\n{}".to_vec()),
    ] {
        let server = Server::start(&[act]).await;
        let verdict = client(&server.url).set_active(&model(), false).await;
        assert_eq!(told(&verdict), "unknown malformed");
        assert_eq!(verdict.failure().unwrap().message, "the answer is larger than 1 MiB");
    }
}

#[tokio::test]
async fn huge_headers_are_not_swallowed() {
    let head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(2_000_000));
    check(&[Act::Cut(head.into_bytes())], "unknown lost", "the connection broke").await;
}

/// Each of these would keep an impatient reader busy for ever, in small pieces.
#[tokio::test]
async fn what_goes_on_for_ever_before_or_after_the_body_is_given_up() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let whole = data(ID, false);
    let body = format!("{chunked}{:x}\r\n{whole}\r\n", whole.len());
    check(&[Act::Drip(b"HTTP/1.1 200 OK\r\nx: ".to_vec())], "unknown timeout", "no answer within 300ms")
        .await;
    check(&[Act::Drip(format!("{chunked}5").into_bytes())], "unknown timeout", "no whole answer").await;
    // Preliminary answers that none follows.
    let early = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(100);
    check(&[Act::Endless(early)], "unknown timeout", "no answer within 300ms").await;
    // Extensions of a chunk, and trailers after the last one.
    let extension = format!("{chunked}5;{}", "x".repeat(1 << 20));
    check(&[Act::Cut(extension.into_bytes())], "unknown malformed", "cut short").await;
    let trailers = format!("{body}0\r\n{}", "x: y\r\n".repeat(1 << 18));
    check(&[Act::Cut(trailers.into_bytes())], "unknown malformed", "cut short").await;
}

#[tokio::test]
async fn what_never_left_is_refused() {
    // A port that was free a moment ago.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for (url, words) in [
        (format!("http://{nobody}"), "could not connect: connection refused"),
        // `.invalid` never resolves (RFC 6761).
        ("http://polytomic.invalid".to_owned(), "could not connect: "),
    ] {
        let verdict = client(&url).set_active(&model(), true).await;
        assert_eq!(told(&verdict), "refused not_sent", "{url}");
        assert!(verdict.failure().unwrap().message.starts_with(words), "{verdict:?}");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used_again() {
    let close = |active| {
        let Act::Answer(bytes) = confirmed(active) else { unreachable!() };
        Act::Cut(bytes)
    };
    let server = Server::start(&[close(false), confirmed(true)]).await;
    let client = client(&server.url);
    assert_eq!(client.set_active(&model(), false).await, Verdict::Applied);
    // Either the client has noticed, and this is a new connection, or it has
    // not, and the request is lost without a trace. It is never sent twice.
    let verdict = client.set_active(&model(), true).await;
    assert!(matches!(told(&verdict).as_str(), "applied" | "unknown lost"), "{verdict:?}");
    assert!(server.heard().len() <= 2);
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_loses_it_and_nobody_sends_it_again() {
    let server = Server::start(&[confirmed(false), Act::Cut(Vec::new()), confirmed(true)]).await;
    let client = client(&server.url);
    assert_eq!(client.set_active(&model(), false).await, Verdict::Applied);
    assert_eq!(told(&client.set_active(&model(), true).await), "unknown lost");
    assert_eq!((server.heard().len(), server.connections()), (2, 1));
    // The next one gets a connection of its own.
    assert_eq!(client.set_active(&model(), true).await, Verdict::Applied);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_redirect_is_followed_nowhere() {
    let elsewhere = Server::start(&[confirmed(false)]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: {}/api/syncs/{ID}?token=s3cret", elsewhere.url);
        let server = Server::start(&[answer(status, &[&location], "")]).await;
        let client = client(&server.url);
        assert_eq!(told(&client.set_active(&model(), false).await), "refused redirected");
        let failure = client.look(&model()).await.unwrap_err();
        assert!(
            failure.message.ends_with("to 127.0.0.1; redirects are not followed (check `url`)"),
            "{failure}"
        );
        assert_eq!(server.heard().len(), 2);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_proxy_is_used_if_it_is_written_down() {
    let proxy = Server::start(&[confirmed(true)]).await;
    let organization =
        Organization { proxy: Proxy::Url(proxy.url.clone()), ..organization("http://polytomic.invalid") };
    let client = Client::new(&organization, limits(), always(KEY)).unwrap();
    client.look(&model()).await.unwrap();
    assert!(proxy.heard()[0].starts_with(&format!("GET http://polytomic.invalid/api/syncs/{ID} HTTP")));
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_allowed() {
    let server = Server::start(&[Act::Hang]).await;
    let limits =
        Limits { max_concurrent_requests: 2, request_timeout: Duration::from_millis(300), ..limits() };
    let client = Client::new(&organization(&server.url), limits, always(KEY)).unwrap();
    let sync = model();
    let (first, second, third) = tokio::join!(client.look(&sync), client.look(&sync), async {
        let answer = client.look(&sync).await;
        (answer, server.connections())
    });
    for failure in [first.unwrap_err(), second.unwrap_err(), third.0.unwrap_err()] {
        // Waiting for a place does not count: all three had their whole time.
        assert_eq!(failure.kind, FailureKind::Timeout);
    }
    assert_eq!(server.heard().len(), 3);
}

#[test]
fn what_cannot_be_a_base_url_is_said_without_its_password() {
    for (url, words) in [
        ("ftp://example.com", "does not start with"),
        ("app.polytomic.com", "relative URL"),
        ("https://ada:s3cret@example.com", "user name or password"),
        ("https://ada:s3cret@exa mple.com", "is no base URL"),
        ("https://example.com/?x=1", "query"),
        ("https://example.com/#x", "fragment"),
        ("", "relative URL"),
    ] {
        let error = Client::new(&organization(url), limits(), always(KEY)).unwrap_err().to_string();
        assert!(error.contains(words), "{url}: {error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_proxy_that_is_none_is_said_without_its_password() {
    let organization =
        Organization { proxy: Proxy::Url("http://ada:s3cret@:x".to_owned()), ..organization("http://h") };
    let error = Client::new(&organization, limits(), always(KEY)).unwrap_err();
    assert!(matches!(error, BuildError::Proxy), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"));
}
