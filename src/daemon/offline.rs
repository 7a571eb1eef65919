//! Breaking glass: ending holds from the ledger alone, by a daemon that has no
//! configuration and ends when it is done.

use tokio::sync::mpsc;

use crate::reconcile::{Resumed, Selection};

use super::start::Recovered;
use super::{Daemon, Start, StartError};

impl Start {
    /// Locks the ledger and recovers from it; asks nothing of the file but
    /// where the ledger is, and serves nothing. For [`Daemon::resume_offline`]
    /// and then [`Daemon::run_once`].
    pub fn open_offline(self) -> Result<Daemon, StartError> {
        let recovered = Recovered::at(&self.ledger_path(None))?;
        // Nobody can ask this daemon anything.
        Daemon::new(recovered.clock(), self, recovered, mpsc::channel(1))
    }
}

impl Daemon {
    /// Ends holds as the control socket does; what follows from it is done by
    /// the passes after this.
    pub fn resume_offline(&mut self, selection: &Selection, by: &str, reason: Option<&str>) -> Vec<Resumed> {
        let now = self.clock.now();
        let (resumed, actions) = self.reconciler.resume(selection, by, reason, now);
        self.carry_out(actions);
        resumed
    }
}
