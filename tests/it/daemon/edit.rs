//! The file changes while a window is open.

use chrono::TimeDelta;
use serde_json::Value;

use super::night::{CONTACTS, Daemon, EMEA, FAR, LEADS, Night, STRIPE, Window, key, row, soon};

/// The two ways to make a daemon read its file again.
#[derive(Clone, Copy)]
enum Reload {
    Command,
    Signal,
}

impl Reload {
    fn of(self, night: &Night, daemon: &Daemon) {
        match self {
            Self::Command => drop(night.run(&["reload"], 0).with(&["the configuration is in force"])),
            Self::Signal => daemon.hang_up(),
        }
    }
}

#[test]
fn a_window_that_is_removed_while_open_resumes_at_once() {
    for reload in [Reload::Command, Reload::Signal] {
        let night = Night::new();
        let later = Window::new("later", soon(FAR)..soon(FAR + 60.0)).of(&[CONTACTS]);
        let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS, STRIPE]);
        night.write(&[patching.clone(), later.clone()]);
        let daemon = night.start();
        night.until_state(CONTACTS, "held");
        night.until_state(STRIPE, "held");
        night.write(&[later]);
        let reloaded = soon(0.0);
        reload.of(&night, &daemon);
        night.until_resumed(CONTACTS);
        night.until_resumed(STRIPE);
        assert_eq!(daemon.stop(), Some(0));
        night.assert_one_pause(CONTACTS, &(patching.opens()..reloaded));
        night.assert_one_pause(STRIPE, &(patching.opens()..reloaded));
        let closed = night.history("window_closed");
        assert_eq!((closed.len(), &closed[0]["window"]), (1, &"patching".into()));
    }
}

#[test]
fn an_open_window_may_close_earlier_and_cover_other_syncs() {
    for reload in [Reload::Command, Reload::Signal] {
        let night = Night::new();
        let patching = Window::new("patching", soon(-1.0)..soon(FAR));
        night.write(&[patching.clone().of(&[CONTACTS, LEADS])]);
        let daemon = night.start();
        night.until_state(CONTACTS, "held");
        night.until_state(LEADS, "held");
        let (reloaded, end) = (soon(0.0), soon(3.0));
        night.write(&[patching.until(end).of(&[LEADS, STRIPE])]);
        reload.of(&night, &daemon);
        // No longer covered: at once. Still covered: at the new end. New: paused until then.
        night.until_resumed(CONTACTS);
        night.until_resumed(LEADS);
        night.until_resumed(STRIPE);
        assert_eq!(daemon.stop(), Some(0));
        night.assert_one_pause(CONTACTS, &(patching.opens()..reloaded));
        night.assert_one_pause(LEADS, &(patching.opens()..end));
        night.assert_one_pause(STRIPE, &(reloaded..end));
    }
}

#[test]
fn an_open_window_that_is_extended_closes_at_its_new_end_only() {
    for reload in [Reload::Command, Reload::Signal] {
        let night = Night::new();
        let patching = Window::new("patching", soon(-1.0)..soon(4.0)).of(&[CONTACTS, STRIPE]);
        night.write(std::slice::from_ref(&patching));
        let daemon = night.start();
        night.until_paused(CONTACTS);
        night.until_paused(STRIPE);
        let end = soon(5.5);
        night.write(&[patching.until(end)]);
        reload.of(&night, &daemon);
        night.until_resumed(CONTACTS);
        night.until_resumed(STRIPE);
        assert_eq!(daemon.stop(), Some(0));
        night.assert_one_pause(CONTACTS, &(patching.opens()..end));
        night.assert_one_pause(STRIPE, &(patching.opens()..end));
    }
}

#[test]
fn a_renamed_window_keeps_its_syncs_paused() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    let end = soon(2.0);
    night.write(&[patching.renamed("mending").until(end)]);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &(patching.opens()..end));
}

#[test]
fn what_may_surprise_about_the_file_of_a_start_is_told_once() {
    let night = Night::new();
    let past = Window::new("past", soon(-FAR)..soon(-FAR + 60.0)).of(&[CONTACTS]);
    let coming = Window::new("coming", soon(FAR)..soon(FAR + 60.0)).of(&[CONTACTS]);
    night.write(&[past, coming.clone()]);
    let daemon = night.start();
    let told = || {
        let log = night.log();
        log.matches("window `past`: it lies in the past").count()
    };
    night.until("the log tells of it", |_| told() > 0);
    night.write(&[coming]);
    night.run(&["reload"], 0);
    assert_eq!(daemon.stop(), Some(0));
    assert_eq!(told(), 1);
}

#[test]
fn a_broken_file_changes_nothing_until_it_is_mended() {
    let night = Night::new();
    let span = soon(2.0)..soon(5.0);
    let patching = Window::new("patching", span.clone()).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.write_nonsense();
    night.run(&["reload"], 78).with(&["timezoon", "error: the configuration is wrong"]);
    let status = night.run(&["status", "--format", "json", "--exit-code"], 1).json();
    assert!(config_error(&status).is_some_and(|it| it.contains("timezoon")), "{status}");
    assert_eq!(status["healthy"], false);

    // The windows of before open and close.
    night.until_resumed(CONTACTS);
    night.assert_one_pause(CONTACTS, &span);

    let mended = Window::new("mended", soon(-1.0)..soon(FAR)).of(&[STRIPE]);
    night.write(&[patching, mended]);
    night.run(&["reload"], 0);
    night.until_paused(STRIPE);
    let status = night.run(&["status", "--format", "json"], 0).json();
    assert_eq!(config_error(&status), None, "{status}");
    assert_eq!(daemon.stop(), Some(0));
    let told: Vec<_> = night.history("config_loaded,config_rejected");
    let told: Vec<_> = told.iter().map(|it| it["event"].as_str().unwrap()).collect();
    assert_eq!(told, ["config_loaded", "config_rejected", "config_loaded"]);
}

#[test]
fn a_broken_file_that_a_signal_brings_is_told_by_the_status() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.write_nonsense();
    daemon.hang_up();
    let status = night.until_status("the file is refused", |it| config_error(it).is_some());
    assert_eq!(row(&status, CONTACTS)["state"], "held");
    night.run(&["status"], 0).with(&["timezoon"]);

    let end = soon(1.0);
    night.write(&[patching.until(end)]);
    daemon.hang_up();
    night.until_status("the file is taken", |it| it["daemon"].is_object() && config_error(it).is_none());
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &(patching.opens()..end));
}

fn config_error(status: &Value) -> Option<&str> {
    status["daemon"]["config_error"].as_str()
}

#[test]
fn what_is_paused_is_resumed_where_it_was_paused() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR));
    let (ours, theirs) = (patching.clone().of(&[CONTACTS]), patching.renamed("theirs").of(&[EMEA]));
    night.write(&[ours.clone(), theirs.clone()]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(EMEA, "held");
    // One organization moves to where nobody listens, the other leaves the file.
    night.remove_emea();
    night.rewrite(|text| text.replace("http://127.0.0.1:", "http://127.0.0.2:"));
    let reloaded = soon(0.0);
    night.run(&["reload"], 0);
    night.until_resumed(CONTACTS);
    night.until_resumed(EMEA);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &(ours.opens()..reloaded));
    night.assert_one_pause(EMEA, &(theirs.opens()..reloaded));
}

#[test]
fn a_key_file_that_vanishes_holds_up_no_resume() {
    let night = Night::new();
    let span = soon(-1.0)..soon(4.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS, STRIPE])]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.until_state(STRIPE, "held");
    std::fs::remove_file(night.path("default.key")).unwrap();
    night.run(&["reload"], 78).with(&["default.key"]);
    night.until_resumed(CONTACTS);
    night.until_resumed(STRIPE);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &span);
    night.assert_one_pause(STRIPE, &span);
}

#[test]
fn an_organization_that_leaves_with_its_key_leaves_nothing_paused() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[EMEA]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    night.until_state(EMEA, "held");
    night.remove_emea();
    std::fs::remove_file(night.path("emea.key")).unwrap();
    let reloaded = soon(0.0);
    night.run(&["reload"], 0);
    night.until_resumed(EMEA);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(EMEA, &(patching.opens()..reloaded));
}

#[test]
fn a_key_that_is_changed_together_with_a_broken_file_is_used() {
    let night = Night::new();
    let span = soon(-1.0)..soon(4.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS])]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.world().set_key("default", key("rotated")).unwrap();
    std::fs::write(night.path("default.key"), format!("{}\n", key("rotated"))).unwrap();
    night.write_nonsense();
    night.run(&["reload"], 78);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    assert!(night.switches(CONTACTS).iter().all(|(at, active)| !active || span.end <= *at));
}

#[test]
fn a_file_that_vanishes_changes_nothing() {
    let night = Night::new();
    let span = soon(-1.0)..soon(4.0);
    night.write(&[Window::new("patching", span.clone()).of(&[CONTACTS])]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    std::fs::remove_file(night.path("intermission.toml")).unwrap();
    daemon.hang_up();
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &span);
}

#[test]
fn many_reloads_across_the_boundaries_make_no_second_pause() {
    let night = Night::new();
    let span = soon(1.0)..soon(3.0);
    let patching = Window::new("patching", span.clone()).of(&[CONTACTS, STRIPE]);
    night.write(std::slice::from_ref(&patching));
    let daemon = night.start();
    let mut other_end = FAR;
    while night.switches(CONTACTS).len() < 2 || night.switches(STRIPE).len() < 2 {
        assert!(soon(0.0) < span.end + TimeDelta::minutes(1), "waited in vain for the end");
        other_end += 1.0;
        night.write(&[
            patching.clone(),
            Window::new("other", soon(FAR - 60.0)..soon(other_end)).of(&[CONTACTS]),
        ]);
        daemon.hang_up();
        night.run(&["reload"], 0);
    }
    assert_eq!(daemon.stop(), Some(0));
    night.assert_one_pause(CONTACTS, &span);
    night.assert_one_pause(STRIPE, &span);
}

#[test]
fn another_control_socket_is_served_after_a_reload_and_the_old_one_is_gone() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(&[patching]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.rewrite(|text| text.replace("control.sock", "moved.sock"));
    daemon.hang_up();
    night.until_status("it answers at the new place", |it| it["daemon"]["pid"] == daemon.pid());
    assert!(!night.path("control.sock").exists());
    night.run(&["reload"], 0).with(&["the configuration is in force"]);
    // A place that cannot be had is no reason to lose the one that is.
    night.rewrite(|text| text.replace("moved.sock", "nowhere/moved.sock"));
    daemon.hang_up();
    night.until("the log tells of it", |_| night.log().contains("the control socket stays where it was"));
    night.rewrite(|text| text.replace("nowhere/moved.sock", "moved.sock"));
    night.run(&["status"], 0).with(&["Contacts"]);
    assert_eq!(daemon.stop(), Some(0));
    assert!(!night.path("moved.sock").exists());
}

#[test]
fn another_ledger_in_the_file_is_warned_of_while_something_is_held() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(&[patching]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.rewrite(|text| text.replace("ledger.db", "moved.db"));
    night.run(&["reload"], 0).with(&["would leave 1 sync paused", "stop the daemon and move"]);
    // As it is told.
    assert_eq!(daemon.stop(), Some(0));
    std::fs::rename(night.path("ledger.db"), night.path("moved.db")).unwrap();
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    night.run(&["resume", "--all"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn the_file_says_where_the_ledger_is_to_a_unit_as_to_a_shell() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(&[patching]);
    let of_unit = night.path("of-unit");
    std::fs::create_dir(&of_unit).unwrap();
    let daemon = night.spawn(&[("STATE_DIRECTORY", of_unit.display().to_string())]);
    night.until_state(CONTACTS, "held");
    daemon.kill();
    // Whoever breaks glass has no variables of a unit.
    night.run(&["resume", "--offline", "--all"], 0);
    night.until_resumed(CONTACTS);
    assert!(!of_unit.join("ledger.db").exists());
    // Without a word in the file it is the first of systemd's directories.
    night.rewrite(|text| text.replace("[state]\npath = ", "[state]\n#path = "));
    let several = format!("{}:{}", of_unit.display(), night.path("none").display());
    let daemon = night.spawn(&[("STATE_DIRECTORY", several)]);
    night.until_status("the daemon answers", |it| it["daemon"]["pid"] == daemon.pid());
    assert!(of_unit.join("ledger.db").exists());
    assert_eq!(daemon.stop(), Some(0));
}

#[test]
fn what_is_paused_at_an_address_that_the_file_has_left_is_told_of() {
    let night = Night::new();
    let patching = Window::new("patching", soon(-1.0)..soon(FAR)).of(&[CONTACTS]);
    night.write(&[patching]);
    let daemon = night.start();
    night.until_state(CONTACTS, "held");
    let elsewhere = |text: &str| text.replacen("http://127.0.0.1", "http://localhost", 1);
    night.rewrite(elsewhere);
    night.run(&["reload"], 0).with(&["1 sync is of organization `default` paused at http://127.0.0.1"]);
    // It can be reached, so nothing is forgotten: it is resumed where it was paused.
    night.run(&["forget", "Contacts"], 1).with(&["Polytomic still knows sync"]);
    night.run(&["resume", "--all"], 0);
    night.until_resumed(CONTACTS);
    assert_eq!(daemon.stop(), Some(0));
}
