//! Requests as they are written, and answers as they are read.

use super::*;

#[tokio::test]
async fn a_pause_is_written_as_the_documentation_has_it() {
    for (kind, path) in [(SyncKind::Model, "syncs"), (SyncKind::Bulk, "bulk/syncs")] {
        for active in [true, false] {
            let server = Server::start(&[confirmed(active)]).await;
            assert_eq!(client(&server.url).set_active(&sync(kind), active).await, Verdict::Applied);
            let request = &server.heard()[0];
            assert!(
                request.starts_with(&format!("POST /api/{path}/{ID}/activate HTTP/1.1\r\n")),
                "{request}"
            );
            assert!(request.ends_with(&format!("\r\n\r\n{{\"active\":{active}}}")), "{request}");
            assert_eq!(header(request, "content-type"), Some("application/json"));
            assert_eq!(header(request, "x-polytomic-version"), Some("2025-09-18"));
            assert_eq!(header(request, "authorization"), Some(format!("Bearer {KEY}").as_str()));
            assert_eq!(header(request, "idempotency-key"), None);
        }
    }
}

#[tokio::test]
async fn a_look_asks_past_caches_and_says_who_asks() {
    let server = Server::start(&[confirmed(true)]).await;
    client(&server.url).look(&model()).await.unwrap();
    let request = &server.heard()[0];
    assert!(request.starts_with(&format!("GET /api/syncs/{ID} HTTP/1.1\r\n")), "{request}");
    assert_eq!(header(request, "cache-control"), Some("no-cache"));
    assert_eq!(header(request, "user-agent"), Some(concat!("intermission/", env!("CARGO_PKG_VERSION"))));
}

#[tokio::test]
async fn a_base_url_keeps_its_path_and_loses_its_slashes() {
    for base in ["/poly/tomic", "/poly/tomic/", "/poly/tomic//"] {
        let server = Server::start(&[confirmed(true)]).await;
        client(&format!("{}{base}", server.url)).look(&model()).await.unwrap();
        let request = &server.heard()[0];
        assert!(request.starts_with(&format!("GET /poly/tomic/api/syncs/{ID} HTTP/1.1")), "{request}");
    }
}

#[tokio::test]
async fn a_partners_key_names_the_organization_it_acts_for() {
    let server = Server::start(&[confirmed(true)]).await;
    let organization = Organization {
        organization_id: Some("00000000-0000-4000-8000-00000000000a".parse().unwrap()),
        ..organization(&server.url)
    };
    let client = Client::new(&organization, limits(), always("open sesame".split(' ').next().unwrap()));
    client.unwrap().look(&model()).await.unwrap();
    // base64 of `00000000-0000-4000-8000-00000000000a:open`
    assert_eq!(
        header(&server.heard()[0], "authorization"),
        Some("Basic MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDBhOm9wZW4=")
    );
}

#[tokio::test]
async fn a_look_tells_state_name_and_who_changed_it() {
    let body = format!(
        r#"{{"data":{{"id":"{}","active":false,"name":"Accounts \u001b[2J to CRM","updated_by":
        {{"id":"1","name":"Ada","type":"user"}},"updated_at":"2026-01-02T03:04:05Z","encryption_passphrase":"x"}}}}"#,
        ID.to_uppercase()
    );
    let server = Server::start(&[answer(200, &[], &body)]).await;
    let looked = client(&server.url).look(&model()).await.unwrap();
    assert_eq!(looked.state, SyncState::Inactive);
    assert_eq!(looked.name.as_deref(), Some("Accounts [2J to CRM"));
    assert_eq!(looked.updated_by.as_deref(), Some("Ada"));
    assert_eq!(looked.updated_at.unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
}

#[tokio::test]
async fn each_status_has_its_verdict() {
    for (status, expected) in [
        (200, "applied"),
        (201, "applied"),
        (204, "unknown malformed"),
        (301, "refused redirected"),
        (302, "refused redirected"),
        (304, "refused redirected"),
        (307, "refused redirected"),
        (308, "refused redirected"),
        (400, "refused rejected"),
        (401, "refused unauthorized"),
        (403, "refused forbidden"),
        (404, "refused gone"),
        (405, "refused rejected"),
        (408, "unknown timeout"),
        (409, "unknown conflict"),
        (410, "refused rejected"),
        (413, "refused rejected"),
        (422, "refused rejected"),
        (425, "unknown conflict"),
        (429, "refused throttled"),
        (500, "unknown server"),
        (502, "unknown server"),
        (503, "unknown server"),
        (504, "unknown server"),
        (599, "unknown server"),
        (777, "unknown malformed"),
    ] {
        // Even a body that would confirm everything confirms nothing under a
        // status that does not.
        let server = Server::start(&[answer(status, &[API], &data(ID, false))]).await;
        let verdict = client(&server.url).set_active(&model(), false).await;
        assert_eq!(told(&verdict), expected, "{status}");
        let posts = server.heard().len();
        assert_eq!(posts, 1, "{status} must not be asked again");
        if let Some(failure) = verdict.failure().filter(|_| status >= 300) {
            assert!(failure.message.starts_with(&format!("the API answered {status}")), "{failure}");
        }
    }
}

#[tokio::test]
async fn only_the_right_sync_in_the_right_state_is_a_confirmation() {
    let page = "<!doctype html><title>Sign in</title>";
    for (body, words) in [
        (data(OTHER_ID, false), "another sync"),
        (format!("[{}]", data(ID, false)), "not as the API writes it"),
        (format!(r#"[{{"id":"{ID}","active":false}}]"#), "not as the API writes it"),
        (format!(r#"{{"data":["{ID}",false]}}"#), "not as the API writes it"),
        (data(ID, true), "the sync is on"),
        (format!(r#"{{"data":{{"id":"{ID}"}}}}"#), "does not say whether"),
        (format!(r#"{{"data":{{"id":"{ID}","active":"false"}}}}"#), "does not say whether"),
        (format!(r#"{{"data":{{"id":"{ID}","active":null}}}}"#), "does not say whether"),
        (r#"{"data":{"active":false}}"#.to_owned(), "does not say which"),
        (r#"{"data":null}"#.to_owned(), "not as the API writes it"),
        ("{}".to_owned(), "not as the API writes it"),
        (format!(r#"{{"id":"{ID}","active":false}}"#), "not as the API writes it"),
        (page.to_owned(), "web page"),
        (String::new(), "without a body"),
        (data(ID, false)[..30].to_owned(), "in the middle"),
        ("OK".to_owned(), "no JSON"),
        ("\u{0}\u{fffd}".to_owned(), "no JSON"),
        ("[".repeat(100_000), "not as the API writes it"),
        (format!(r#"{{"data":{{"name":{}"#, "[".repeat(100_000)), "no JSON"),
    ] {
        let server = Server::start(&[answer(200, &[API], &body)]).await;
        let verdict = client(&server.url).set_active(&model(), false).await;
        assert_eq!(told(&verdict), "unknown malformed", "{body:.80}");
        let failure = verdict.failure().unwrap();
        assert!(failure.message.contains(words), "{failure} for {body:.80}");
        // A look at the same answer is no look, unless it is merely the
        // opposite of what a pause would have wanted.
        let looked = client(&server.url).look(&model()).await;
        match looked {
            Ok(looked) => assert_eq!((looked.state, words), (SyncState::Active, "the sync is on")),
            Err(failure) => assert_eq!(failure.kind, FailureKind::Malformed),
        }
    }
}

#[tokio::test]
async fn a_sync_is_gone_only_if_the_api_itself_says_so() {
    let page = "<html><h1>404 Not Found</h1><hr>nginx</html>";
    for (headers, body, gone) in [
        (&[][..], r#"{"key":"not_found","message":"no such sync","status":404}"#, true),
        (&[], r#"{"message":"no such sync","status":404}"#, true),
        (&[API], r#"{"message":"sync not found"}"#, true),
        (&[API], "{}", true),
        (&[API], "", true),
        // Gateways whose backend is away.
        (&[], "", false),
        (&[], page, false),
        (&[API], page, false),
        (&[], "404 page not found\n", false),
        (&[], r#"{"message":"no Route matched with those values"}"#, false),
        (&[], r#"{"timestamp":1790000000,"status":404,"error":"Not Found","path":"/api/syncs"}"#, false),
        (&[API], r#"{"status":503}"#, false),
        // Lists are no objects, whatever their elements are.
        (&[], r#"["Not Found", "no route"]"#, false),
        (&[], "[null, null, 404]", false),
        (&[API], "[]", false),
    ] {
        let server = Server::start(&[answer(404, headers, body)]).await;
        let client = client(&server.url);
        let looked = client.look(&model()).await;
        match &looked {
            Ok(looked) => assert_eq!((looked.state, gone), (SyncState::Gone, true), "{body}"),
            Err(failure) => {
                assert_eq!((failure.kind, gone), (FailureKind::Rejected, false), "{body}");
                assert!(failure.message.contains("a proxy, or a wrong `url`?"), "{failure}");
            }
        }
        let expected = if gone { "refused gone" } else { "refused rejected" };
        assert_eq!(told(&client.set_active(&model(), true).await), expected, "{body}");
    }
}

#[tokio::test]
async fn the_apis_own_words_are_passed_on() {
    let body = r#"{"key":"forbidden","message":"Ask an\nadmin","metadata":{"secret":1},"status":403}"#;
    let server = Server::start(&[answer(403, &[], body)]).await;
    let failure = client(&server.url).look(&model()).await.unwrap_err();
    assert_eq!(failure.to_string(), "the API answered 403 Forbidden: Ask an admin");
}

#[tokio::test]
async fn how_long_to_stay_away_is_heard_with_429_and_503_alone() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT";
    for (status, header, seconds) in [
        (429, "retry-after: 7", Some(7)),
        (503, "retry-after: 7", Some(7)),
        (429, "retry-after: Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
        (429, "retry-after: 1000000000", Some(300)),
        (429, "retry-after: -1", Some(1)),
        (429, "retry-after: tomorrow", None),
        (429, "x-ratelimit-reset: 784111787", Some(10)),
        (429, "x-nothing: 1", None),
        (500, "retry-after: 7", None),
        (302, "retry-after: 7", None),
    ] {
        let server = Server::start(&[answer(status, &[date, header], "")]).await;
        let failure = client(&server.url).look(&model()).await.unwrap_err();
        assert_eq!(failure.retry_after, seconds.map(Duration::from_secs), "{status} {header}");
        if header.ends_with("1000000000") {
            assert!(failure.message.ends_with("come back in 300s (Retry-After: 1000000000)"), "{failure}");
        }
    }
}

#[tokio::test]
async fn what_runs_is_read_from_the_status() {
    let running =
        |current: &str| format!(r#"{{"data":{{"current_execution":{current},"next_execution_time":null}}}}"#);
    for (current, expected) in [
        ("null", false),
        (r#"{"status":"running"}"#, true),
        (r#"{"status":"canceling"}"#, true),
        (r#"{"status":"invented_next_year"}"#, true),
        ("{}", true),
        (r#"{"status":"completed"}"#, false),
        (r#"{"status":"canceled"}"#, false),
        (r#"{"status":"failed"}"#, false),
        (r#"{"status":"errors","completed_at":"2026-01-01T00:00:00Z"}"#, false),
    ] {
        let server = Server::start(&[answer(200, &[], &running(current))]).await;
        let status = client(&server.url).status(&sync(SyncKind::Bulk)).await.unwrap();
        assert_eq!(status.is_running(), expected, "{current}");
        assert!(server.heard()[0].starts_with(&format!("GET /api/bulk/syncs/{ID}/status HTTP")));
    }
}

#[tokio::test]
async fn the_api_tells_whose_key_it_is_and_what_time_it_has() {
    let body = r#"{"data":{"organization_id":"00000000-0000-4000-8000-00000000000a","organization_name":"Acme",
        "email":"a@example.com","role":"Sync Editor","is_user":true,"is_partner":false}}"#;
    let headers = [API, "date: Sun, 06 Nov 1994 08:49:37 GMT"];
    let server = Server::start(&[answer(200, &headers, body)]).await;
    let client = client(&server.url);
    assert_eq!(client.server_date(), None);
    let me = client.me().await.unwrap();
    assert!(server.heard()[0].starts_with("GET /api/me HTTP"));
    assert_eq!(me.organization_name.as_deref(), Some("Acme"));
    assert_eq!(me.role.as_deref(), Some("Sync Editor"));
    assert_eq!(me.key, Some(KeyKind::User));
    assert_eq!(client.server_date().unwrap().to_rfc3339(), "1994-11-06T08:49:37+00:00");
    assert_eq!(client.server_version().as_deref(), Some("2025-09-18"));
}
