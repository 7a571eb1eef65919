//! Over real sockets: the faults as a client meets them, and the endpoints
//! that steer the world.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use intermission::simulator::{Apply, Fault, Operation, Reply, Rule, Server};
use reqwest::{Certificate, Client, StatusCode, Version};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{KEY, MODEL, at, is_active, world};
use crate::tls;

/// Longer than anything here takes that ends by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// Cuts off what never ends, but nothing that a busy machine makes slow.
const IMPATIENCE: Duration = Duration::from_secs(2);

async fn server() -> Server {
    let world = Arc::new(Mutex::new(world()));
    Server::bind("127.0.0.1:0", world, Arc::new(|| at(0))).await.unwrap()
}

/// One that is asked over TLS and HTTP/2.
async fn secured() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start_secured(listener, Arc::new(Mutex::new(world())), Arc::new(|| at(0)), tls::secure()).unwrap()
}

async fn broken(fault: Fault) -> Server {
    breaking(server().await, fault)
}

fn breaking(server: Server, fault: Fault) -> Server {
    server.world().add_rule(Rule::always(fault).on(Operation::Pause));
    server
}

fn client(timeout: Duration) -> Client {
    let ca = std::fs::read(tls::certificate("ca.pem")).unwrap();
    Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_only([Certificate::from_pem(&ca).unwrap()])
        .no_proxy()
        .build()
        .unwrap()
}

/// Pauses the model sync and reads the whole answer.
async fn pause(server: &Server, client: &Client) -> reqwest::Result<(StatusCode, Vec<u8>)> {
    let answer = client
        .post(format!("{}/api/syncs/{MODEL}/activate", server.url()))
        .bearer_auth(KEY)
        .json(&json!({ "active": false }))
        .send()
        .await?;
    let status = answer.status();
    Ok((status, answer.bytes().await?.to_vec()))
}

/// Sends bytes and reads until the server closes, or says how it broke off.
async fn raw(server: &Server, bytes: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server.address()).await?;
    stream.write_all(bytes.as_bytes()).await?;
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await??;
    Ok(answer)
}

fn raw_pause(headers: &str, body: &str) -> String {
    format!(
        "POST /api/syncs/{MODEL}/activate HTTP/1.1\r\nhost: it\r\nauthorization: Bearer {KEY}\r\n{headers}\r\n{body}"
    )
}

/// Whether a pause that a client never saw confirmed took effect.
async fn check_unanswered(server: Server, fault: Fault, took_effect: bool) {
    let server = breaking(server, fault.clone());
    let outcome = pause(&server, &client(IMPATIENCE)).await;
    assert!(outcome.is_err(), "{fault:?}: {outcome:?}");
    assert_eq!(!is_active(&server.world(), MODEL), took_effect, "{fault:?}");
}

#[tokio::test]
async fn a_pause_arrives_and_is_confirmed() {
    let server = server().await;
    let (status, body) = pause(&server, &client(PATIENCE)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({ "data": { "id": MODEL, "active": false } }));
    assert!(!is_active(&server.world(), MODEL));
}

#[tokio::test]
async fn one_connection_carries_many_requests_and_counters_tell() {
    let server = server().await;
    let client = client(PATIENCE);
    for _ in 0..5 {
        pause(&server, &client).await.unwrap();
    }
    let counters = server.counters();
    assert_eq!((counters.connections, counters.peak_concurrent_requests), (1, 1));
    assert_eq!(server.world().requests().len(), 5);
}

#[tokio::test]
async fn requests_on_their_way_at_one_time_are_counted() {
    let server = broken(Fault::hang()).await;
    let client = client(IMPATIENCE);
    let outcomes = tokio::join!(pause(&server, &client), pause(&server, &client), pause(&server, &client));
    assert!(outcomes.0.is_err() && outcomes.1.is_err() && outcomes.2.is_err());
    assert_eq!(server.counters().peak_concurrent_requests, 3);
}

#[tokio::test]
async fn broken_transports_leave_the_client_without_an_answer() {
    let trickle = Reply::Trickle { every: Duration::from_secs(1) };
    let mut checks = JoinSet::new();
    for reply in [Reply::Hang, Reply::Reset, Reply::Close, Reply::Truncated, Reply::Endless, trickle] {
        for server in [server().await, secured().await] {
            checks.spawn(check_unanswered(server, Fault::new(Apply::Now, reply.clone()), true));
        }
        for server in [server().await, secured().await] {
            checks.spawn(check_unanswered(server, Fault::new(Apply::Never, reply.clone()), false));
        }
    }
    checks.join_all().await;
}

#[tokio::test]
async fn a_reset_is_a_reset_and_a_close_is_an_end() {
    let request = raw_pause("content-length: 16\r\n", r#"{"active":false}"#);
    let reset = raw(&broken(Fault::reset()).await, &request).await;
    assert_eq!(reset.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    let closed = raw(&broken(Fault::new(Apply::Never, Reply::Close)).await, &request).await;
    assert_eq!(closed.unwrap(), "");
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_sends() {
    let request = raw_pause("content-length: 16\r\n", r#"{"active":false}"#);
    let answer = raw(&broken(Fault::garbled(Reply::Truncated)).await, &request).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let promised: usize =
        head.lines().find_map(|it| it.strip_prefix("content-length: ")).unwrap().parse().unwrap();
    assert_eq!(body.len(), promised / 2);
}

#[tokio::test]
async fn an_endless_answer_outgrows_any_limit() {
    for server in [server().await, secured().await] {
        check_endless(&breaking(server, Fault::garbled(Reply::Endless))).await;
    }
}

async fn check_endless(server: &Server) {
    let mut answer = client(PATIENCE)
        .post(format!("{}/api/syncs/{MODEL}/activate", server.url()))
        .bearer_auth(KEY)
        .json(&json!({ "active": false }))
        .send()
        .await
        .unwrap();
    let mut length = 0;
    while length <= 2 << 20 {
        length += answer.chunk().await.unwrap().expect("it ended").len();
    }
}

#[tokio::test]
async fn a_slow_answer_arrives_whole_at_last() {
    let fault = Fault {
        delay: Duration::from_millis(20),
        ..Fault::garbled(Reply::Trickle { every: Duration::from_millis(1) })
    };
    let server = broken(fault).await;
    server.set_latency(Duration::from_millis(20));
    let (status, body) = pause(&server, &client(PATIENCE)).await.unwrap();
    assert_eq!(status, StatusCode::OK);
    assert!(serde_json::from_slice::<Value>(&body).is_ok());
}

#[tokio::test]
async fn statuses_and_empty_answers_arrive_as_they_are() {
    let redirect = Reply::Redirect { to: "http://127.0.0.1:1/".to_owned() };
    for (fault, expected) in [
        (Fault::status(503), 503),
        (Fault::late(Duration::from_secs(9)), 504),
        (Fault::garbled(Reply::NoContent), 204),
        (Fault::garbled(Reply::Empty), 200),
        (Fault::garbled(Reply::Html), 200),
        (Fault::new(Apply::Never, redirect), 307),
    ] {
        let server = broken(fault.clone()).await;
        let client = client(PATIENCE);
        // Twice, because an answer without a body must leave the connection in step.
        for _ in 0..2 {
            let (status, _) = pause(&server, &client).await.unwrap();
            assert_eq!(status.as_u16(), expected, "{fault:?}");
        }
        assert_eq!(server.counters().connections, 1, "{fault:?}");
    }
}

#[tokio::test]
async fn bodies_may_be_chunked_or_announced_and_old_clients_close() {
    let chunked = "transfer-encoding: chunked\r\nconnection: close\r\n";
    let chunks = "8\r\n{\"active\r\n8;x=y\r\n\":false}\r\n0\r\ntrailer: 1\r\n\r\n";
    let expecting = "content-length: 16\r\nexpect: 100-continue\r\nconnection: close\r\n";
    for (headers, body, begins) in [
        (chunked, chunks, "HTTP/1.1 200 OK\r\n"),
        ("content-length: 16\r\nconnection: close\r\n", r#"{"active":false}"#, "HTTP/1.1 200 OK\r\n"),
        (expecting, r#"{"active":false}"#, "HTTP/1.1 "),
        ("content-length: 0\r\nconnection: close\r\n", "", "HTTP/1.1 422 "),
    ] {
        let answer = raw(&server().await, &raw_pause(headers, body)).await.unwrap();
        assert!(answer.starts_with(begins), "{headers}: {answer}");
    }
    let old = format!("GET /api/me HTTP/1.0\r\nauthorization: Bearer {KEY}\r\n\r\n");
    assert!(raw(&server().await, &old).await.unwrap().contains("organization_name"));
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_is_told_to_go_on() {
    let server = server().await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let head = raw_pause("content-length: 16\r\nexpect: 100-continue\r\nconnection: close\r\n", "");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(br#"{"active":false}"#).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[tokio::test]
async fn what_is_not_http_or_too_long_is_not_listened_to() {
    for nonsense in [
        "nonsense\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)),
        raw_pause("content-length: 99999999\r\n", ""),
        raw_pause("transfer-encoding: chunked\r\n", "ffffffff\r\n"),
    ] {
        let server = server().await;
        let answer = raw(&server, &nonsense).await.unwrap_or_default();
        assert!(!answer.contains("200 OK"), "{answer}");
        assert_eq!(server.world().requests().len(), 0);
    }
}

#[tokio::test]
async fn a_dropped_server_leaves_no_connection_open() {
    let server = broken(Fault::hang()).await;
    let mut idle = TcpStream::connect(server.address()).await.unwrap();
    let mut hanging = TcpStream::connect(server.address()).await.unwrap();
    let request = raw_pause("content-length: 16\r\n", r#"{"active":false}"#);
    hanging.write_all(request.as_bytes()).await.unwrap();
    let address = server.address();
    drop(server);
    for stream in [&mut idle, &mut hanging] {
        let mut rest = Vec::new();
        // Closed in order, or reset where bytes were still unread: either ends it.
        let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty());
    }
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn it_does_not_listen_where_others_could_reach_it() {
    let world = Arc::new(Mutex::new(world()));
    let error = Server::bind("0.0.0.0:0", world, Arc::new(|| at(0))).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn another_process_steers_it_over_http() {
    let server = server().await;
    let client = client(PATIENCE);
    let url = |path: &str| format!("{}/__simulator/{path}", server.url());
    let get =
        async |path: &str| -> Value { client.get(url(path)).send().await.unwrap().json().await.unwrap() };
    let post =
        async |path: &str, body: Value| client.post(url(path)).json(&body).send().await.unwrap().status();

    assert_eq!(post("faults", json!({ "operation": "pause", "fault": { "apply": "never", "reply": { "status": { "status": 500 } } } })).await, 200);
    assert_eq!(post("faults", json!([{ "fault": { "delay": 0.001 } }])).await, 200);
    assert_eq!(post("faults", json!({ "fault": { "reply": "nonsense" } })).await, 422);
    assert_eq!(get("state").await["rules"].as_array().unwrap().len(), 2);
    assert_eq!(pause(&server, &client).await.unwrap().0, 500);
    assert_eq!(client.delete(url("faults")).send().await.unwrap().status(), 200);
    assert_eq!(pause(&server, &client).await.unwrap().0, 200);

    assert_eq!(post("people", json!({ "do": "set", "id": MODEL, "active": true, "by": "Ada" })).await, 200);
    assert_eq!(post("people", json!({ "do": "delete", "id": KEY, "by": "Ada" })).await, 422);
    assert_eq!(post("people", json!({ "do": "set_key", "organization": "Globex", "key": "k" })).await, 404);
    assert_eq!(post("rate_limit", json!({ "per_second": 0 })).await, 200);
    assert_eq!(pause(&server, &client).await.unwrap().0, 429);
    assert_eq!(post("rate_limit", Value::Null).await, 200);

    let who = |history: &Value| -> Vec<String> {
        history.as_array().unwrap().iter().map(|it| it["who"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(who(&get("history").await), ["api", "person"]);
    assert_eq!(who(&get("history?since=1").await), ["person"]);
    let requests = get("requests?since=2").await;
    let statuses: Vec<_> = requests.as_array().unwrap().iter().map(|it| it["status"].clone()).collect();
    assert_eq!(statuses, [200, 429]);
    let state = get("state").await;
    assert_eq!(state["syncs"].as_array().unwrap().len(), 2);
    assert!(!state.to_string().contains(KEY), "a state may be printed in a log");
}

#[tokio::test]
async fn over_http_2_one_connection_carries_many_requests_at_a_time() {
    let server = secured().await;
    server.set_latency(Duration::from_millis(200));
    let client = client(PATIENCE);
    // Before, nobody knows which protocol it is, and each opens a connection.
    pause(&server, &client).await.unwrap();
    let pauses = tokio::join!(pause(&server, &client), pause(&server, &client), pause(&server, &client));
    assert!([pauses.0, pauses.1, pauses.2].iter().all(|it| it.as_ref().unwrap().0 == StatusCode::OK));
    let counters = server.counters();
    assert_eq!((counters.connections, counters.peak_concurrent_requests), (1, 3));

    let answer = client.get(format!("{}/__simulator/state", server.url())).send().await.unwrap();
    assert_eq!((answer.version(), answer.status()), (Version::HTTP_2, StatusCode::OK));
    let state: Value = answer.json().await.unwrap();
    assert_eq!(state["counters"]["connections"], 1, "{state}");
}

#[tokio::test]
async fn a_connection_that_breaks_over_http_2_takes_all_requests_with_it() {
    for reply in [Reply::Reset, Reply::Close] {
        let server = secured().await;
        let client = client(PATIENCE);
        pause(&server, &client).await.unwrap();
        // It waits until another breaks the connection.
        server.world().add_rule(Rule::always(Fault::hang()).on(Operation::Pause).times(1));
        let waiting = tokio::spawn({
            let (url, client) = (format!("{}/api/syncs/{MODEL}/activate", server.url()), client.clone());
            let asked = json!({ "active": false });
            async move { client.post(url).bearer_auth(KEY).json(&asked).send().await }
        });
        while server.counters().concurrent_requests == 0 {
            tokio::task::yield_now().await;
        }
        let breaks = Fault::new(Apply::Now, reply.clone());
        server.world().add_rule(Rule::always(breaks).on(Operation::Pause).times(1));
        assert!(pause(&server, &client).await.is_err(), "{reply:?}");
        let lost = waiting.await.unwrap().unwrap_err();
        assert!(!lost.is_timeout(), "{reply:?}: {lost:?}");
        // Another connection is made.
        pause(&server, &client).await.unwrap();
        assert_eq!(server.counters().connections, 2, "{reply:?}");
    }
}

#[tokio::test]
async fn an_answer_on_its_way_outlives_its_server() {
    for server in [server().await, secured().await] {
        let answer = client(PATIENCE).get(format!("{}/api/syncs/{MODEL}", server.url())).bearer_auth(KEY);
        server.set_latency(Duration::from_millis(200));
        let answer = tokio::spawn(answer.send());
        while server.counters().concurrent_requests == 0 {
            tokio::task::yield_now().await;
        }
        drop(server);
        assert_eq!(answer.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}
