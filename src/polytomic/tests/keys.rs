//! The key: read, rotated, refused, never shown.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// A key that is another one with each reading; the last one stays.
fn rotated(keys: &'static [Result<&'static str, &'static str>]) -> (KeyReader, Arc<AtomicUsize>) {
    let readings = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&readings);
    let reader = move || {
        let reading = count.fetch_add(1, Ordering::SeqCst);
        keys[reading.min(keys.len() - 1)].map(Into::into).map_err(str::to_owned)
    };
    (Arc::new(reader), readings)
}

fn bearers(server: &Server) -> Vec<String> {
    server.heard().iter().map(|request| header(request, "authorization").unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_rotated_key_is_used_at_once_and_from_then_on() {
    let server = Server::start(&[answer(401, &[], ""), confirmed(true)]).await;
    let (reader, readings) = rotated(&[Ok("old-key"), Ok("new-key")]);
    let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
    assert_eq!(client.set_active(&model(), true).await, Verdict::Applied);
    assert_eq!(client.set_active(&model(), true).await, Verdict::Applied);
    assert_eq!(bearers(&server), ["Bearer old-key", "Bearer new-key", "Bearer new-key"]);
    assert_eq!(readings.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_pause_is_not_repeated_but_the_next_request_has_the_new_key() {
    let server = Server::start(&[answer(401, &[], ""), confirmed(false)]).await;
    let (reader, _) = rotated(&[Ok("old-key"), Ok("new-key")]);
    let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
    assert_eq!(told(&client.set_active(&model(), false).await), "refused unauthorized");
    assert_eq!(client.set_active(&model(), false).await, Verdict::Applied);
    assert_eq!(bearers(&server), ["Bearer old-key", "Bearer new-key"]);
}

#[tokio::test]
async fn a_refused_key_that_has_not_changed_is_not_tried_again() {
    let server = Server::start(&[answer(401, &[], "")]).await;
    let (reader, readings) = rotated(&[Ok("same")]);
    let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
    assert_eq!(told(&client.set_active(&model(), true).await), "refused unauthorized");
    assert_eq!((server.heard().len(), readings.load(Ordering::SeqCst)), (1, 2));
}

#[tokio::test]
async fn a_new_key_that_is_refused_too_is_the_end_of_it() {
    let server = Server::start(&[answer(401, &[], "")]).await;
    let (reader, _) = rotated(&[Ok("one"), Ok("two"), Ok("three")]);
    let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
    assert_eq!(told(&client.set_active(&model(), true).await), "refused unauthorized");
    assert_eq!(bearers(&server), ["Bearer one", "Bearer two"]);
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    for (key, words) in [
        (Err("`/etc/key` is missing"), "could not read the API key: `/etc/key` is missing"),
        (Ok("  \n"), "could not read the API key: it is empty"),
        (Ok("two\nlines"), "could not read the API key: it holds a blank"),
    ] {
        let server = Server::start(&[confirmed(true)]).await;
        let reader: KeyReader = Arc::new(move || key.map(Into::into).map_err(str::to_owned));
        let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
        let verdict = client.set_active(&model(), true).await;
        assert_eq!(told(&verdict), "refused key");
        assert!(verdict.failure().unwrap().message.starts_with(words), "{verdict:?}");
        assert_eq!(server.connections(), 0);
    }
}

#[tokio::test]
async fn a_key_that_has_become_unreadable_is_told_with_the_refusal() {
    let server = Server::start(&[answer(401, &[], "")]).await;
    let (reader, _) = rotated(&[Ok("key"), Err("permission denied")]);
    let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
    let failure = client.look(&model()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unauthorized);
    assert_eq!(
        failure.message,
        "the API answered 401 Unauthorized; could not read the API key: permission denied"
    );
}

#[tokio::test]
async fn a_key_can_be_read_again_on_demand() {
    let server = Server::start(&[confirmed(true)]).await;
    let (reader, _) = rotated(&[Ok("one\n"), Ok("one"), Ok("two"), Err("gone")]);
    let client = Client::new(&organization(&server.url), limits(), reader).unwrap();
    client.look(&model()).await.unwrap();
    assert_eq!(client.read_key_again().await, Ok(false));
    assert_eq!(client.read_key_again().await, Ok(true));
    assert_eq!(client.read_key_again().await.unwrap_err().kind, FailureKind::Key);
    client.look(&model()).await.unwrap();
    assert_eq!(bearers(&server), ["Bearer one", "Bearer two"]);
}

#[tokio::test]
async fn the_key_is_in_no_error_however_it_is_echoed() {
    let basic = "MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDBhOjhlNWRjZmRkLWQyM2QtNGU2Zi1hMTM2LTExOWUxMjU0ODQ3Yg==";
    let echo = format!("you sent {KEY} as Basic {basic}");
    let padded = format!("{}{KEY}", "x".repeat(190));
    let json = |message: &str| serde_json::json!({ "message": message }).to_string();
    let location = format!("location: http://{KEY}.example/{KEY}");
    let retry = format!("retry-after: {KEY}");
    for act in [
        answer(401, &[], &json(&echo)),
        answer(500, &[], &json(&padded)),
        answer(400, &[], &json(&format!("{}\u{202e}{}", &KEY[..9], &KEY[9..]))),
        answer(200, &[], &echo),
        answer(200, &[], &json(&echo)),
        answer(302, &[&location], &echo),
        answer(429, &[&retry, "x-ratelimit-reset: 1"], &json(&echo)),
        Act::Cut(format!("{KEY}\r\n\r\n").into_bytes()),
        Act::Cut(format!("HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{echo}").into_bytes()),
    ] {
        let server = Server::start(std::slice::from_ref(&act)).await;
        let organization = Organization {
            organization_id: Some("00000000-0000-4000-8000-00000000000a".parse().unwrap()),
            ..organization(&server.url)
        };
        let client = Client::new(&organization, limits(), always(KEY)).unwrap();
        let failure = client.look(&model()).await.unwrap_err();
        assert_eq!(header(&server.heard()[0], "authorization"), Some(format!("Basic {basic}").as_str()));
        let shown = format!("{failure} {failure:?} {client:?}");
        assert!(!shown.contains(&KEY[..8]) && !shown.contains("MDAw"), "{shown}");
    }
}
