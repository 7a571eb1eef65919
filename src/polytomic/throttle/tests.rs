//! The throttle, played against servers made of numbers.

use std::collections::BinaryHeap;

use super::*;

const NO_JITTER: f64 = 1.0;

fn millis(millis: u64) -> Uptime {
    Uptime::from_millis(millis)
}

fn throttle(max_concurrent: usize, rate: Option<f64>) -> Throttle {
    Throttle::new(max_concurrent, rate, Duration::from_mins(1))
}

fn told(seconds: u64) -> Outcome {
    Outcome::Throttled { retry_after: Some(Duration::from_secs(seconds)) }
}

/// A server that counts by windows, as most do: so many in each, the rest is
/// turned away until the next one.
#[derive(Clone, Copy)]
struct Server {
    allows: u32,
    each: Duration,
    latency: Duration,
    /// Whether a 429 says how long to wait.
    tells: bool,
}

impl Server {
    fn by_the_second(allows: u32, latency: u64) -> Self {
        Self { allows, each: Duration::from_secs(1), latency: millis(latency), tells: true }
    }
}

struct Played {
    took: Duration,
    refused: u32,
}

/// What comes of a number of requests, sent as fast as the throttle lets them.
fn play(throttle: &mut Throttle, server: Server, requests: u32, from: Uptime) -> Played {
    let mut now = from;
    let (mut done, mut refused) = (0, 0);
    let (mut window, mut seen) = (None, 0);
    // Answers under way, soonest first.
    let mut answers: BinaryHeap<std::cmp::Reverse<(Uptime, u32, bool, Duration)>> = BinaryHeap::new();
    let mut tickets = std::collections::HashMap::new();
    let mut sent = 0;
    while done < requests {
        match throttle.admit(now) {
            Admission::Go if done + u32::try_from(answers.len()).unwrap() < requests => {
                let (nth, each) = (now.as_millis() / server.each.as_millis(), server.each);
                if window != Some(nth) {
                    (window, seen) = (Some(nth), 0);
                }
                let left = (each * u32::try_from(nth + 1).unwrap()).saturating_sub(now);
                seen += 1;
                sent += 1;
                tickets.insert(sent, throttle.started(now));
                answers.push(std::cmp::Reverse((now + server.latency, sent, seen <= server.allows, left)));
            }
            // Nothing to send, or not yet: on to what happens next.
            admission => {
                let answer = answers.peek().map(|std::cmp::Reverse((at, ..))| *at);
                match (admission, answer) {
                    (Admission::NotBefore(then), None) => now = then,
                    (Admission::NotBefore(then), Some(at)) if then < at => now = then,
                    (_, Some(at)) => {
                        let std::cmp::Reverse((_, number, allowed, left)) = answers.pop().unwrap();
                        now = at;
                        done += u32::from(allowed);
                        refused += u32::from(!allowed);
                        // As `Retry-After` has it, in whole seconds.
                        let whole = Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0));
                        let retry_after = server.tells.then_some(whole);
                        let outcome =
                            if allowed { Outcome::Answered } else { Outcome::Throttled { retry_after } };
                        throttle.finished(now, tickets.remove(&number).unwrap(), outcome, 0.5);
                    }
                    (Admission::Go | Admission::Full, None) => panic!("stuck at {now:?}"),
                }
            }
        }
        let in_flight = f64::from(u32::try_from(throttle.in_flight()).unwrap());
        assert!(in_flight <= throttle.max_concurrent, "more than allowed in flight");
    }
    Played { took: now.saturating_sub(from), refused }
}

#[test]
fn a_known_rate_is_kept_and_nothing_is_refused() {
    for latency in [1, 20, 200] {
        let server = Server::by_the_second(40, latency);
        let played = play(&mut throttle(8, Some(20.0)), server, 400, Uptime::ZERO);
        assert_eq!(played.refused, 0);
        // The first second's worth is a burst, the other 380 take 19 s.
        assert!(played.took <= millis(19_000 + 2 * latency), "took {:?}", played.took);
        assert!(played.took >= millis(18_900), "faster than allowed: {:?}", played.took);
    }
}

#[test]
fn an_unknown_limit_is_found_at_few_refusals_and_little_loss() {
    for (concurrent, latency, tells) in
        [(8, 1, true), (8, 20, true), (8, 200, true), (64, 20, true), (8, 20, false), (64, 150, false)]
    {
        let server = Server { tells, ..Server::by_the_second(20, latency) };
        let played = play(&mut throttle(concurrent, None), server, 800, Uptime::ZERO);
        let case = format!("{concurrent} at once, {latency} ms, told: {tells}");
        // 40 seconds' worth, so 39 s is the best that anybody could do.
        assert!(played.took < millis(44_000), "{case}: took {:?}", played.took);
        assert!(played.refused <= 80, "{case}: {} refused", played.refused);
    }
}

#[test]
fn a_limit_by_the_minute_is_kept_evenly() {
    let server = Server { each: Duration::from_mins(1), ..Server::by_the_second(600, 20) };
    let played = play(&mut throttle(8, None), server, 6_000, Uptime::ZERO);
    // Who sends all at each minute's beginning needs nine minutes.
    assert!(played.took < Duration::from_secs(650), "took {:?}", played.took);
    assert!(played.refused <= 24, "{} refused", played.refused);
}

#[test]
fn what_was_learnt_is_kept_while_nothing_is_sent_and_forgotten_in_time() {
    let (mut throttle, server) = (throttle(64, None), Server::by_the_second(20, 20));
    play(&mut throttle, server, 400, Uptime::ZERO);
    let next_boundary = play(&mut throttle, server, 400, Duration::from_mins(30));
    assert_eq!(next_boundary.refused, 0);
    let next_day = play(&mut throttle, server, 20, Duration::from_hours(24));
    assert!(next_day.took < millis(100), "a burst that the limit allows took {:?}", next_day.took);
}

#[test]
fn a_refusal_while_little_is_asked_for_holds_no_boundary_up() {
    for wait in [1, 30] {
        let mut throttle = throttle(64, None);
        // A look a minute for hours, of which some are refused.
        for minute in 0..300 {
            let now = Duration::from_mins(minute);
            let ticket = throttle.started(now);
            let outcome = if minute % 100 == 50 { told(wait) } else { Outcome::Answered };
            throttle.finished(now, ticket, outcome, NO_JITTER);
        }
        let server = Server::by_the_second(10_000, 20);
        let boundary = play(&mut throttle, server, 1_000, Duration::from_mins(301));
        assert_eq!(boundary.refused, 0);
        assert!(boundary.took < millis(5_000), "told {wait} s: took {:?}", boundary.took);
    }
}

#[test]
fn what_is_refused_because_of_a_list_beside_does_not_count() {
    let mut throttle = throttle(64, None);
    play(&mut throttle, Server::by_the_second(20, 20), 400, Uptime::ZERO);
    // Two lists, four of whose pages come each second; one is over sooner.
    throttle.list_began();
    throttle.list_began();
    throttle.list_ended(Duration::from_secs(50));
    let crowded = play(&mut throttle, Server::by_the_second(16, 20), 100, Duration::from_secs(100));
    assert!(crowded.refused > 0, "the list was in nobody's way");
    throttle.list_ended(Duration::from_secs(150));
    let after = play(&mut throttle, Server::by_the_second(20, 20), 400, Duration::from_secs(200));
    assert!(after.took < millis(22_000), "took {:?}", after.took);
}

#[test]
fn a_limit_that_is_raised_is_found() {
    let mut throttle = throttle(64, None);
    play(&mut throttle, Server::by_the_second(20, 20), 400, Uptime::ZERO);
    let raised = play(&mut throttle, Server::by_the_second(200, 20), 20_000, Duration::from_secs(100));
    assert!(raised.took < Duration::from_secs(220), "took {:?}", raised.took);
}

#[test]
fn bursts_are_one_seconds_worth_and_at_least_one() {
    for (rate, burst, next) in
        [(20.0, 20, millis(50)), (0.5, 1, millis(2000)), (1.5, 1, Uptime::from_nanos(666_666_667))]
    {
        let mut throttle = throttle(100, Some(rate));
        for _ in 0..burst {
            assert_eq!(throttle.admit(Uptime::ZERO), Admission::Go);
            let _in_flight = throttle.started(Uptime::ZERO);
        }
        assert_eq!(throttle.admit(Uptime::ZERO), Admission::NotBefore(next), "rate {rate}");
        assert_eq!(throttle.admit(next), Admission::Go);
    }
}

#[test]
fn an_impossible_rate_neither_panics_nor_stops_everything() {
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE] {
        let mut throttle = throttle(2, Some(rate));
        assert_eq!(throttle.admit(Uptime::ZERO), Admission::Go, "rate {rate}");
        let _in_flight = throttle.started(Uptime::ZERO);
        assert_eq!(throttle.admit(Uptime::from_hours(1)), Admission::Go, "rate {rate}");
    }
}

#[test]
fn each_failure_has_its_outcome() {
    let told_7_s = |kind| Failure { retry_after: Some(Duration::from_secs(7)), ..Failure::new(kind, "") };
    for kind in FailureKind::ALL {
        let expected = match kind.as_str() {
            "throttled" => Outcome::Throttled { retry_after: None },
            "unauthorized" | "key" => Outcome::Unauthorized,
            "forbidden" | "gone" | "rejected" | "conflict" => Outcome::Answered,
            _ => Outcome::Failed,
        };
        assert_eq!(Outcome::of(Some(&Failure::new(*kind, ""))), expected, "{kind}");
    }
    assert_eq!(Outcome::of(Some(&told_7_s(FailureKind::Throttled))), told(7));
    assert_eq!(Outcome::of(Some(&told_7_s(FailureKind::Server))), told(7));
    assert_eq!(Outcome::of(None), Outcome::Answered);
}

#[test]
fn a_429_makes_all_wait_as_long_as_it_says() {
    let mut throttle = throttle(8, None);
    let ticket = throttle.started(millis(0));
    throttle.finished(millis(10), ticket, told(7), 0.0);
    assert_eq!(throttle.admit(millis(11)), Admission::NotBefore(millis(7010)));
    assert_eq!(throttle.paused_until(millis(11)), Some(millis(7010)));
    assert_eq!(throttle.admit(millis(7010)), Admission::Go);
    assert_eq!(throttle.paused_until(millis(7010)), None);
}

#[test]
fn a_429_that_names_no_time_doubles_the_wait_until_something_is_answered() {
    let mut throttle = throttle(8, None);
    let mut now = Uptime::ZERO;
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let ticket = throttle.started(now);
        throttle.finished(now, ticket, Outcome::Throttled { retry_after: None }, NO_JITTER);
        let then = now + Duration::from_secs(seconds);
        assert_eq!(throttle.admit(now), Admission::NotBefore(then));
        now = then;
    }
    let ticket = throttle.started(now);
    throttle.finished(now, ticket, Outcome::Answered, NO_JITTER);
    let ticket = throttle.started(now);
    throttle.finished(now, ticket, Outcome::Throttled { retry_after: None }, NO_JITTER);
    assert_eq!(throttle.paused_until(now), Some(now + FIRST_WAIT));
}

#[test]
fn a_limit_without_bursts_admits_also_what_follows_a_look() {
    // The server takes a request a second; each look is to be followed by a change at once.
    let mut throttle = throttle(8, None);
    let (mut now, mut accepted, mut looked) = (Uptime::ZERO, None::<Uptime>, false);
    for _ in 0..100 {
        if let Admission::NotBefore(then) = throttle.admit(now) {
            now = then;
        }
        let ticket = throttle.started(now);
        let is_accepted = accepted.is_none_or(|at| at + Duration::from_secs(1) <= now);
        let outcome = if is_accepted { Outcome::Answered } else { Outcome::Throttled { retry_after: None } };
        throttle.finished(now, ticket, outcome, NO_JITTER);
        if is_accepted && looked {
            return;
        }
        looked = is_accepted;
        accepted = if is_accepted { Some(now) } else { accepted };
    }
    panic!("no change was ever admitted");
}

#[test]
fn refusals_of_requests_sent_together_halve_the_concurrency_once() {
    let mut throttle = throttle(8, None);
    let together: Vec<_> = (0..8).map(|_| throttle.started(millis(0))).collect();
    for ticket in together {
        throttle.finished(millis(10), ticket, told(1), 0.0);
    }
    assert_eq!(throttle.concurrency(), 4);
    // Later answers are a new episode.
    let ticket = throttle.started(millis(2000));
    throttle.finished(millis(2010), ticket, told(1), 0.0);
    assert_eq!(throttle.concurrency(), 2);
}

#[test]
fn concurrency_never_falls_below_one_and_comes_back_slowly() {
    let mut throttle = throttle(8, None);
    for _ in 0..9 {
        let ticket = throttle.started(millis(0));
        throttle.finished(millis(0), ticket, told(1), 0.0);
    }
    assert_eq!(throttle.concurrency(), 1);
    let mut answers = 0;
    while throttle.concurrency() < 8 {
        let ticket = throttle.started(millis(9000));
        throttle.finished(millis(9000), ticket, Outcome::Answered, 0.0);
        answers += 1;
    }
    assert!((28 * 8..=36 * 8).contains(&answers), "after {answers} answers");
}

#[test]
fn a_refused_key_lets_one_probe_through_at_growing_waits() {
    let mut throttle = throttle(8, None);
    let (first, echo) = (throttle.started(millis(0)), throttle.started(millis(0)));
    throttle.finished(millis(0), first, Outcome::Unauthorized, NO_JITTER);
    throttle.finished(millis(5), echo, Outcome::Unauthorized, NO_JITTER);
    let mut now = millis(0);
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
        let then = now + Duration::from_secs(seconds);
        assert_eq!(throttle.admit(now), Admission::NotBefore(then));
        now = then;
        assert_eq!(throttle.admit(now), Admission::Go);
        let probe = throttle.started(now);
        assert_eq!(throttle.admit(now), Admission::Full);
        throttle.finished(now, probe, Outcome::Unauthorized, NO_JITTER);
    }
    assert!(throttle.auth_is_broken());
}

#[test]
fn the_first_answer_that_is_no_401_reopens() {
    for (outcome, broken) in [(Outcome::Answered, false), (told(1), false), (Outcome::Failed, true)] {
        let mut throttle = throttle(8, None);
        let ticket = throttle.started(millis(0));
        throttle.finished(millis(0), ticket, Outcome::Unauthorized, NO_JITTER);
        let probe = throttle.started(millis(1000));
        throttle.finished(millis(1000), probe, outcome, NO_JITTER);
        assert_eq!(throttle.auth_is_broken(), broken, "{outcome:?}");
        assert_ne!(throttle.admit(millis(1000)), Admission::Full, "{outcome:?}");
    }
}

#[test]
fn a_new_key_is_tried_at_once_and_not_blamed_for_the_old() {
    let mut throttle = throttle(8, None);
    let (first, late) = (throttle.started(millis(0)), throttle.started(millis(0)));
    throttle.finished(millis(0), first, Outcome::Unauthorized, NO_JITTER);
    throttle.reset();
    assert_eq!(throttle.admit(millis(1)), Admission::Go);
    throttle.finished(millis(2), late, Outcome::Unauthorized, NO_JITTER);
    assert!(!throttle.auth_is_broken());
}
