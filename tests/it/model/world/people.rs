//! Who acts beside the daemon.

use intermission::domain::calendar::Desired;
use intermission::domain::hold::HoldState;

use super::promises::Met;
use super::{World, organization};

impl World {
    pub(super) fn operator_resumes(&mut self, met: &mut Met) {
        self.left.operator -= 1;
        // What somebody asks for is theirs, as if they had switched it.
        self.watch.was_touched = true;
        self.watch.is_foreign = false;
        let now = self.now();
        let Some(process) = self.process.clone() else { return };
        let mut ended = match self.desired(&process) {
            Desired::Running => vec![],
            Desired::Paused(pause) => pause.holders.to_vec(),
        };
        if let Some(hold) = process.case.hold.as_ref().filter(|it| it.state.owes_resume()) {
            let more: Vec<_> =
                hold.holders.iter().filter(|it| !ended.iter().any(|other| other.is(it))).cloned().collect();
            ended.extend(more);
        }
        let hold = match (&process.case.hold, process.in_force) {
            (Some(hold), _) => hold.clone(),
            (None, Some(_)) if !ended.is_empty() => {
                process.case.new_hold(&organization(), HoldState::Released, now.wall)
            }
            (None, _) => return,
        };
        *met.entry("resumed by an operator").or_default() += 1;
        let mut hold = hold;
        hold.leave_alone(&ended);
        self.queue.push(Some(hold.clone()));
        if let Some(process) = &mut self.process {
            process.case.decide_for(hold);
            process.due = true;
        }
    }
}
