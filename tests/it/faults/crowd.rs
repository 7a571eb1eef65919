//! What many held syncs cost, and what is seen of them nevertheless.

use intermission::reconcile::SWEPT_FROM;
use intermission::simulator::{Fault, Operation, Rule};
use uuid::Uuid;

use super::{Place, id, much_later, soon, until, window};

/// How many requests of this kind have come.
fn count(place: &Place, operation: Operation) -> usize {
    place.world().requests().iter().filter(|it| it.operation == operation).count()
}

fn crowd(place: &Place, count: usize) -> Vec<Uuid> {
    (1..=count as u128).map(|it| place.model("default", id(it))).collect()
}

/// A pace that leaves a list time to come on a machine that is busy.
fn at_ease(place: &mut Place) {
    place.pace = place.pace.replace("drift_check = \"1s\"", "drift_check = \"3s\"");
}

fn all_are_paused(place: &Place, syncs: &[Uuid]) -> bool {
    syncs.iter().all(|it| !place.is_active(*it))
}

#[test]
fn many_held_syncs_are_looked_at_by_a_list_and_what_it_shows_to_be_on_by_itself() {
    let mut place = Place::new();
    at_ease(&mut place);
    let syncs = crowd(&place, 3 * SWEPT_FROM);
    place.write(&[window("patching", (soon(-60), much_later()), &syncs)]);
    let daemon = place.start();
    until("all are paused", || all_are_paused(&place, &syncs));
    until("a list is read", || count(&place, Operation::List) > 0);
    let (looks, lists) = (count(&place, Operation::Look), count(&place, Operation::List));
    // A list has six pages of fifty.
    until("five more are read", || count(&place, Operation::List) >= lists + 5 * 6);
    let looks = count(&place, Operation::Look) - looks;
    assert!(looks < syncs.len(), "{looks} looks at {} syncs beside five lists", syncs.len());

    // A person is seen all the same.
    let by_a_person = syncs[7];
    place.world().person_sets(intermission::clock::wall(), by_a_person, true, "Ada").unwrap();
    place.until_row("it is left on", by_a_person, |row| row["state"] == "released");

    // Where nobody lists, each is looked at by itself.
    place.world().add_rule(Rule::always(Fault::status(403)).on(Operation::List));
    let before: Vec<usize> = syncs.iter().map(|it| place.requests(Operation::Look, *it)).collect();
    until("each is looked at", || {
        let mut all = syncs.iter().zip(&before).filter(|(it, _)| **it != by_a_person);
        all.all(|(it, before)| place.requests(Operation::Look, *it) > *before)
    });
    place.write(&[window("patching", (soon(-60), soon(-1)), &syncs)]);
    place.reload();
    place.until_no_rows();
    assert!(syncs.iter().all(|it| place.is_active(*it)));
    assert_eq!(daemon.terminate().0.code(), Some(0));
}

#[test]
fn few_held_syncs_are_never_listed() {
    let place = Place::new();
    let syncs = crowd(&place, 20);
    place.write(&[window("patching", (soon(-60), much_later()), &syncs)]);
    let daemon = place.start();
    until("all are paused, and looked at again", || {
        all_are_paused(&place, &syncs) && syncs.iter().all(|it| place.requests(Operation::Look, *it) > 2)
    });
    assert_eq!(count(&place, Operation::List), 0);
    assert_eq!(daemon.terminate().0.code(), Some(0));
}
