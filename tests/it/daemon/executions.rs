//! Executions that run when a window opens, and what each window asks about them.

use chrono::TimeDelta;
use intermission::clock::wall;
use intermission::simulator::{Fault, Operation, Rule, Schedule};

use super::night::{CONTACTS, FAR, LEADS, Night, Part, STRIPE, Window, row, soon};

impl Night {
    /// Somebody starts an execution that takes this many milliseconds.
    fn run_for(&self, part: Part, milliseconds: i64) {
        let mut world = self.world();
        world.set_run_length(part.id, TimeDelta::milliseconds(milliseconds)).unwrap();
        world.person_starts(wall(), part.id).unwrap();
    }

    fn until_quiet(&self, part: Part, quiet: bool) {
        self.until_status(&format!("{} is quiet: {quiet}", part.name), |it| row(it, part)["quiet"] == quiet);
    }

    /// Waits until the journal has so many events of a kind.
    fn until_journalled(&self, event: &str, count: usize) {
        self.until_status(&format!("{count} of {event}"), |_| self.history(event).len() == count);
    }

    fn requests(&self, part: Part, operation: Operation) -> usize {
        let world = self.world();
        let is_meant = |it: &&_| {
            let it: &intermission::simulator::Received = it;
            it.operation == operation && it.sync == Some(part.id)
        };
        world.requests().iter().filter(is_meant).count()
    }
}

#[test]
fn a_model_sync_is_paused_at_once_and_told_to_be_quiet_once_its_execution_has_ended() {
    let night = Night::new();
    night.run_for(CONTACTS, 4_000);
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_quiet(CONTACTS, false);
    night.run(&["status"], 0).with(&["held, still runs"]);
    night.until_quiet(CONTACTS, true);
    night.run(&["status", "--wide"], 0).with(&["held, quiet"]);
    night.run(&["why", &CONTACTS.id.to_string()], 0).with(&["its row: held, quiet; there since "]);
    night.run(&["status"], 0).with(&["held, quiet"]);
    assert_eq!(daemon.stop(), Some(0));
    let quiet = night.history("quiet");
    assert_eq!(quiet.len(), 1, "{quiet:?}");
    assert_eq!(quiet[0]["window"], "patching");
    let world = night.world();
    let [execution] = world.sync(CONTACTS.id).unwrap().executions() else { panic!("it ran once") };
    assert!(execution.cancel_requested_at.is_none(), "nobody asked for it to be cancelled");
}

#[test]
fn a_bulk_syncs_execution_ends_by_itself_before_the_sync_is_paused() {
    let night = Night::new();
    night.run_for(STRIPE, 3_000);
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[STRIPE])]);
    let daemon = night.start();
    night.until_quiet(STRIPE, false);
    night.run(&["status"], 0).with(&["waits for its execution"]);
    night.run(&["why", &STRIPE.id.to_string()], 0).with(&["as soon as its execution has ended"]);
    night.until_state(STRIPE, "held");
    night.until_quiet(STRIPE, true);
    assert_eq!(daemon.stop(), Some(0));
    let world = night.world();
    let [execution] = world.sync(STRIPE.id).unwrap().executions() else { panic!("it ran once") };
    assert!(execution.cancel_requested_at.is_none(), "its pause broke it off");
    drop(world);
    let (paused, _) = night.switches(STRIPE)[0];
    let world = night.world();
    assert!(world.sync(STRIPE.id).unwrap().executions()[0].completes_at <= paused);
}

#[test]
fn a_bulk_sync_whose_execution_does_not_end_is_paused_when_patience_is_over() {
    let night = Night::new();
    night.run_for(STRIPE, 3_600_000);
    let opens = soon(-1.0);
    let patching = Window::new("patching", opens..soon(FAR)).of(&[STRIPE]).with("on_running_limit = \"4s\"");
    night.write(&[patching]);
    let daemon = night.start();
    night.until_quiet(STRIPE, false);
    night.until_state(STRIPE, "held");
    // Polytomic itself cancels it.
    night.until_quiet(STRIPE, true);
    assert_eq!(daemon.stop(), Some(0));
    let (paused, _) = night.switches(STRIPE)[0];
    assert!(opens + TimeDelta::seconds(4) <= paused, "{paused}");
    let told = night.history("still_running");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(night.history("quiet").len(), 1);
}

#[test]
fn what_runs_is_cancelled_where_the_window_says_so() {
    let night = Night::new();
    for part in [CONTACTS, STRIPE] {
        night.run_for(part, 3_600_000);
    }
    let patching = Window::new("patching", soon(-1.0)..soon(FAR));
    night.write(&[patching.of(&[CONTACTS, STRIPE]).with("on_running = \"cancel\"")]);
    let daemon = night.start();
    for part in [CONTACTS, STRIPE] {
        night.until_state(part, "held");
        night.until_quiet(part, true);
    }
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.requests(CONTACTS, Operation::Cancel), 1);
    assert!(night.history("still_running").is_empty());
    assert_eq!(night.history("quiet").len(), 2);
}

#[test]
fn a_status_that_hangs_delays_no_pause_of_another_and_no_resume() {
    let night = Night::new();
    night.world().add_rule(Rule::always(Fault::hang()).on(Operation::Status));
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
    let patching = patching.with("on_running_limit = \"1s\"");
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_paused(CONTACTS);
    night.until_paused(STRIPE);
    night.until("the status is asked for", |world| {
        world.requests().iter().any(|it| it.operation == Operation::Status && it.sync == Some(CONTACTS.id))
    });
    let end = soon(0.5);
    night.write(&[patching.until(end)]);
    night.run(&["reload"], 0);
    for part in [CONTACTS, STRIPE] {
        night.until_resumed(part);
        let pause = night.assert_one_pause(part, &(patching.opens()..end));
        assert!(
            pause.resumed < end + super::night::PATIENCE,
            "{} was resumed at {}",
            part.name,
            pause.resumed
        );
    }
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_runs_is_known_to_the_next_process_too() {
    let night = Night::new();
    night.run_for(CONTACTS, 5_000);
    night.write(&[Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS])]);
    let daemon = night.start();
    night.until_quiet(CONTACTS, false);
    daemon.kill();
    let daemon = night.start();
    night.until_quiet(CONTACTS, true);
    let asked = night.requests(CONTACTS, Operation::Status);
    assert_eq!(night.history("quiet").len(), 1);
    daemon.kill();
    // Quiet is quiet: nobody asks again.
    let daemon = night.start();
    night.until_quiet(CONTACTS, true);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(night.requests(CONTACTS, Operation::Status), asked);
}

/// Opens a window over this sync, and closes it once the sync is held.
fn one_window(night: &Night, part: Part, more: &'static str) {
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[part]).with(more);
    night.write(std::slice::from_ref(&patching));
    night.run(&["reload"], 0);
    night.until_state(part, "held");
    night.write(&[patching.until(soon(0.0))]);
    night.run(&["reload"], 0);
}

#[test]
fn a_resume_that_was_confirmed_and_not_carried_out_is_sent_again() {
    let night = Night::new();
    night.write(&[]);
    let daemon = night.start();
    night.world().add_rule(Rule::always(Fault::lie()).on(Operation::Resume).of(CONTACTS.id).times(2));
    one_window(&night, CONTACTS, "");
    night.until_resumed(CONTACTS);
    // Whatever became of the first two may be applied yet.
    night.until_state(CONTACTS, "settling");
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.is_on(CONTACTS));
    assert_eq!(night.requests(CONTACTS, Operation::Resume), 3);
    assert_eq!(night.history("resume_failed").len(), 2);
}

#[test]
fn what_somebody_switches_off_after_its_resume_is_left_off() {
    let night = Night::new();
    night.write(&[]);
    let daemon = night.start();
    one_window(&night, CONTACTS, "");
    night.until_resumed(CONTACTS);
    night.until_no_row(CONTACTS);
    night.person_switches(CONTACTS, false);
    night.fence(&[]);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!night.is_on(CONTACTS));
    assert_eq!(night.requests(CONTACTS, Operation::Resume), 1);
}

#[test]
fn a_sync_that_is_on_and_never_runs_again_is_told() {
    let night = Night::new();
    for (part, unplanned) in [(CONTACTS, true), (LEADS, false)] {
        night.world().set_schedule(wall(), part.id, Schedule::Daily(4, 0), unplanned).unwrap();
    }
    night.write(&[]);
    let daemon = night.start();
    for part in [CONTACTS, LEADS] {
        one_window(&night, part, "");
        night.until_no_row(part);
    }
    assert_eq!(daemon.stop(), Some(0));
    let told = night.history("unscheduled");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["name"], &told[0]["window"]), (&CONTACTS.name.into(), &"patching".into()));
}

#[test]
fn a_run_that_fell_into_the_window_is_made_up_for_once() {
    let night = Night::new();
    for part in [CONTACTS, LEADS, STRIPE] {
        // The next run is near; the one after it is not waited for.
        night.world().set_schedule(wall(), part.id, Schedule::Every(5), false).unwrap();
        night.run_for(part, 100);
    }
    night.until("each has run once", |world| {
        let has_run = |part: &Part| world.sync(part.id).unwrap().last_ended(wall()).is_some();
        [CONTACTS, LEADS, STRIPE].iter().all(has_run)
    });
    let missed = [CONTACTS, STRIPE];
    let patching = Window::new("patching", soon(-1.0)..soon(FAR));
    let patching = patching.of(&missed).with("catch_up = \"missed\"\non_running_limit = \"1s\"");
    let other = Window::new("other", soon(-1.0)..soon(FAR)).of(&[LEADS]);
    night.write(&[patching.clone(), other.clone()]);
    let daemon = night.start();
    for part in [CONTACTS, LEADS, STRIPE] {
        night.until_state(part, "held");
    }
    // The planned runs fall into the pause.
    night.until_time(wall() + TimeDelta::seconds(6));
    for part in [CONTACTS, LEADS, STRIPE] {
        night.world().set_schedule(wall(), part.id, Schedule::Daily(4, 0), false).unwrap();
    }
    let end = soon(0.0);
    night.write(&[patching.until(end), other.until(end)]);
    night.run(&["reload"], 0);
    for part in [CONTACTS, LEADS, STRIPE] {
        night.until_no_row(part);
    }
    night.until_journalled("window_report", 2);
    assert_eq!(daemon.stop(), Some(0));
    for part in missed {
        assert_eq!(night.requests(part, Operation::Start), 1, "{}", part.name);
    }
    assert_eq!(night.requests(LEADS, Operation::Start), 0, "nobody asked for it");
    assert_eq!(night.history("caught_up").len(), missed.len());
    let reports = night.history("window_report");
    let detail = |window: &str| {
        let report = reports.iter().find(|it| it["window"] == window);
        report.and_then(|it| it["detail"].as_str()).unwrap_or_else(|| panic!("{window}: {reports:?}"))
    };
    assert!(detail("other").starts_with("1 sync runs again; "), "{reports:?}");
    for words in [
        "2 syncs run again; runs known to have fallen into it: ",
        "the oldest data is that of ",
        "next run at ",
    ] {
        assert!(detail("patching").contains(words), "{words}: {reports:?}");
    }
}

#[test]
fn a_report_that_a_restart_falls_into_is_about_all_that_the_window_paused() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, LEADS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    for part in [CONTACTS, LEADS] {
        night.until_state(part, "held");
    }
    // What runs of one of them is not told: the window is not over in all its syncs.
    night.world().add_rule(Rule::always(Fault::status(503)).on(Operation::Status).of(LEADS.id));
    night.write(&[patching.until(soon(0.0))]);
    night.run(&["reload"], 0);
    night.until_no_row(CONTACTS);
    assert!(night.history("window_report").is_empty());
    daemon.kill();
    night.world().clear_faults();
    let daemon = night.start();
    night.until_journalled("window_report", 1);
    assert_eq!(daemon.stop(), Some(0));
    let report = night.history("window_report")[0]["detail"].as_str().unwrap().to_owned();
    assert!(report.starts_with("2 syncs run again"), "{report}");
}
