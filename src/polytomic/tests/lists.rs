//! Lists, and the many ways in which they may not end.

use super::*;

fn page(ids: std::ops::Range<u32>, next: Option<&str>) -> Act {
    let items: Vec<_> = ids
        .map(|n| serde_json::json!({ "id": Uuid::from_u128(n.into()), "name": format!("sync {n}"), "active": true }))
        .collect();
    let pagination = serde_json::json!({ "next_page_token": next });
    answer(200, &[API], &serde_json::json!({ "data": items, "pagination": pagination }).to_string())
}

async fn listed(acts: &[Act]) -> (Result<usize, Failure>, Vec<String>) {
    let server = Server::start(acts).await;
    let list = client(&server.url).list(SyncKind::Model).await;
    let path = |request: &String| request.split(' ').nth(1).unwrap().to_owned();
    let paths = server.heard().iter().map(path).collect();
    (list.map(|list| list.len()), paths)
}

#[tokio::test]
async fn all_pages_are_read_and_tokens_go_back_as_they_came() {
    let (list, paths) =
        listed(&[page(0..50, Some("a/b+c=&")), page(50..100, Some("x")), page(100..120, None)]).await;
    assert_eq!(list, Ok(120));
    assert_eq!(
        paths,
        [
            "/api/syncs?limit=50",
            "/api/syncs?limit=50&page_token=a%2Fb%2Bc%3D%26",
            "/api/syncs?limit=50&page_token=x"
        ]
    );
}

#[tokio::test]
async fn a_list_without_pages_null_or_twice_the_same_is_read_too() {
    for (body, expected) in [
        (r#"{"data":null}"#.to_owned(), 0),
        (r#"{"data":[]}"#.to_owned(), 0),
        (r#"{"data":[],"pagination":{"next_page_token":""}}"#.to_owned(), 0),
        (r#"{"data":[],"pagination":{"next_page_token":null}}"#.to_owned(), 0),
        (format!(r#"{{"data":[{{"id":"{ID}"}},{{"id":"{ID}"}},{{"id":"{OTHER_ID}"}}]}}"#), 2),
    ] {
        let (list, paths) = listed(&[answer(200, &[], &body)]).await;
        assert_eq!((list, paths.len()), (Ok(expected), 1), "{body}");
    }
    assert_eq!(listed(&[page(0..200, None)]).await.0, Ok(200));
}

#[tokio::test]
async fn a_list_that_is_none_is_not_an_empty_list() {
    for body in ["{}", "[]", "", r#"{"data":{}}"#, r#"{"data":[{"name":"x"}]}"#, "<html>"] {
        let (list, _) = listed(&[answer(200, &[], body)]).await;
        assert_eq!(list.unwrap_err().kind, FailureKind::Malformed, "{body}");
    }
}

#[tokio::test]
async fn a_list_that_does_not_end_is_given_up() {
    let (list, paths) =
        listed(&[page(0..50, Some("a")), page(0..50, Some("b")), page(0..50, Some("a"))]).await;
    assert!(list.unwrap_err().message.contains("leads back"));
    assert_eq!(paths.len(), 3);
    let (list, _) = listed(&[page(0..60_000, Some("more")), page(60_000..100_001, Some("still more"))]).await;
    assert!(list.unwrap_err().message.contains("more than 100000"));
}

#[tokio::test]
async fn a_busy_page_is_asked_for_again_but_not_for_ever() {
    let busy = answer(429, &["retry-after: 1"], "");
    let (list, paths) = listed(&[page(0..50, Some("x")), busy.clone(), page(50..60, None)]).await;
    assert_eq!((list, paths.len()), (Ok(60), 3));
    // Nobody waits five minutes in the middle of a list.
    let (list, paths) = listed(&[answer(429, &["retry-after: 300"], "")]).await;
    assert_eq!((list.unwrap_err().kind, paths.len()), (FailureKind::Throttled, 1));
    let (list, paths) = listed(&[answer(500, &[], "")]).await;
    assert_eq!((list.unwrap_err().kind, paths.len()), (FailureKind::Server, 1));
}

#[tokio::test]
async fn what_a_list_tells_of_a_bulk_sync_is_kept() {
    let body = format!(
        r#"{{"data":[{{"id":"{ID}","active":false,"name":"Events","mode":"replicate",
        "source_connection_id":"00000000-0000-4000-8000-000000000001",
        "destination_connection_id":"00000000-0000-4000-8000-000000000002",
        "default_schedule":{{"frequency":"hourly","minute":"5"}},"updated_by":{{"id":"7","type":"system"}}}}]}}"#
    );
    let server = Server::start(&[answer(200, &[], &body)]).await;
    let list = client(&server.url).list(SyncKind::Bulk).await.unwrap();
    assert!(server.heard()[0].starts_with("GET /api/bulk/syncs?limit=50 HTTP"));
    let it = &list[0];
    assert_eq!((it.id.to_string().as_str(), it.kind, it.active), (ID, SyncKind::Bulk, Some(false)));
    assert_eq!((it.name.as_deref(), it.mode.as_deref()), (Some("Events"), Some("replicate")));
    assert_eq!((it.frequency.as_deref(), it.updated_by.as_deref()), (Some("hourly"), Some("7")));
    assert_eq!(
        it.connections,
        [Uuid::from_u128(0x4000_8000_0000_0000_0001), Uuid::from_u128(0x4000_8000_0000_0000_0002)]
    );
}

#[tokio::test]
async fn a_list_that_hangs_takes_no_place_from_others() {
    let server = Server::start(&[Act::Hang, confirmed(false)]).await;
    let limits = Limits { max_concurrent_requests: 1, ..limits() };
    let client = Client::new(&organization(&server.url), limits, always(KEY)).unwrap();
    let asking = client.clone();
    let list = tokio::spawn(async move { asking.list(SyncKind::Model).await });
    while server.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(client.set_active(&model(), false).await, Verdict::Applied);
    assert!(!list.is_finished());
    list.abort();
}
