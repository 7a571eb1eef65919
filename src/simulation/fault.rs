//! What can go wrong. Each is counted by what it strikes, and a run in which
//! one never struck fails.
//!
//! Not here, and why:
//! - A ledger with damaged rows, or one put back from an old backup: what was
//!   promised to people who acted since cannot be kept. `ledger.rs` shows what
//!   is read of the one; the other is a set of rows like any.
//! - A sync deleted and created anew has another id: it is `SyncGone` with
//!   `SyncAdded`.
//! - A daemon on another host with a ledger of its own is, to this one,
//!   somebody at Polytomic.
//! - A resume that is confirmed and not carried out: once is shown by the model
//!   (`proofs_that_fail_and_confirmations_that_are_none_break_no_promise`) and by the
//!   daemon's own tests, always by `Plant::ResumeDoesNothing`.
//! - An odd `Retry-After`, or an answer that names the other state: the client makes
//!   of it what it makes of any answer of its kind, and is not in this.
//! - Ten thousand syncs: a world has some hundred at most, and `tests/it/growth.rs`
//!   counts the work of more.
//! - A window that passed unseen: that it is told breaks no promise here, and
//!   `reconcile` has tests of it.
//! - An operator's word while the disk is full: it is heard, and a crash before the
//!   disk takes it loses it.
//! - An API that answers a look with what was so before: a person's act that it
//!   hides cannot be respected, and nobody can promise otherwise.

macro_rules! faults {
    ($($(#[doc = $what:literal])* $fault:ident: $($on:ident)+;)*) => {
        /// What can go wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[doc = $what])* $fault),* }

        impl Fault {
            /// Every fault, with everything that it can strike.
            pub const ALL: &[(Self, On)] = &[$($((Self::$fault, On::$on),)+)*];
        }
    };
}

/// Its name in small letters: `applied late`.
impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = format!("{self:?}");
        for (index, letter) in name.chars().enumerate() {
            let gap = if index > 0 && letter.is_uppercase() { " " } else { "" };
            write!(f, "{gap}{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

/// What a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum On {
    /// A GET.
    Look,
    /// `active: false`.
    Pause,
    /// `active: true`.
    Resume,
    /// A list of what there is.
    List,
    /// Everything, or the machine.
    World,
}

faults! {
    /// Never arrives and is never answered.
    Lost: Look Pause Resume List;
    /// Is applied, and the answer never comes.
    ReplyLost: Pause Resume;
    /// Is applied long after we gave up, as late as `settle` allows.
    AppliedLate: Pause Resume;
    /// A proxy sends it twice, the second time late.
    AppliedTwice: Pause Resume;
    /// 5xx, though it was applied.
    ServerErrorApplied: Pause Resume;
    /// 5xx, and it was not applied.
    ServerError: Look Pause Resume List;
    /// 503 that says when to come back.
    ServerBusy: Look Pause Resume List;
    /// The connection breaks after the request was applied.
    ConnectionLostApplied: Pause Resume;
    /// The connection breaks before that.
    ConnectionLost: Look Pause Resume List;
    /// 2xx that confirms nothing (a page, nothing, half of it, another id), to what was applied.
    MalformedApplied: Pause Resume;
    /// The same, to what was not.
    Malformed: Look Pause Resume List;
    /// 409 or 425, though it is applied.
    ConflictApplied: Pause Resume;
    /// 409 or 425, and it is not.
    Conflict: Pause Resume;
    /// 408: the server gave up on reading it.
    ServerTimeout: Look Pause Resume List;
    /// 401.
    Unauthorized: Look Pause Resume List;
    /// 403, for this sync alone.
    Forbidden: Look Pause Resume List;
    /// 400 or 422.
    Rejected: Look Pause Resume List;
    /// 3xx.
    Redirected: Look Pause Resume List;
    /// 429, with a time to come back or without.
    Throttled: Look Pause Resume List;
    /// No name, no connection, no trust: nothing left.
    NotSent: Look Pause Resume List;
    /// The file of the key cannot be read.
    KeyUnreadable: Look Pause Resume List;
    /// One organization's API hangs, is unreachable or refuses the key, for hours.
    OrganizationDown: World;
    /// Polytomic does not know a sync, for hours.
    SyncGone: World;
    /// A list has nothing of a sync that somebody changes meanwhile.
    ListIncomplete: World;
    /// Somebody calls a sync otherwise: other windows select it.
    SyncRenamed: World;
    /// The process is stopped, and ends in order.
    Stopped: World;
    /// The process is killed.
    Crash: World;
    /// It is killed when the row is written and the request has not left.
    CrashBetweenIntentAndRequest: World;
    /// It is killed while a request is on its way.
    CrashBeforeAnswer: World;
    /// The power goes while the ledger writes: of what was not synced a part is there, or rubbish.
    PowerLossInWrite: World;
    /// Nobody starts it again for hours.
    LongDowntime: World;
    /// The clock is set back.
    ClockBack: World;
    /// The clock is set forward, perhaps over whole windows.
    ClockForward: World;
    /// The clock says a date before the release, and is set right later.
    ClockBeforeRelease: World;
    /// The clock is slewed, or has a leap second.
    ClockSlewed: World;
    /// The clocks of a window's zone change.
    SummerTime: World;
    /// A window is in another zone, or its zone's rules changed.
    ZoneChanged: World;
    /// The machine sleeps.
    Suspend: World;
    /// An open or coming window is made longer.
    WindowExtended: World;
    /// It is made shorter.
    WindowShortened: World;
    /// It is taken out.
    WindowRemoved: World;
    /// It gets another name.
    WindowRenamed: World;
    /// A sync is taken out of a window.
    SyncTakenOut: World;
    /// A sync is added to a window.
    SyncAdded: World;
    /// An organization is reached under another URL.
    UrlChanged: World;
    /// Its key is found elsewhere.
    KeyMoved: World;
    /// A file that is broken while the daemon runs.
    ConfigBrokenAtReload: World;
    /// A file that is broken when it starts.
    ConfigBrokenAtStart: World;
    /// The ledger takes no writes.
    DiskFull: World;
    /// Somebody switches a sync on.
    PersonOn: World;
    /// Somebody switches a sync off.
    PersonOff: World;
    /// An operator resumes what is held.
    OperatorResume: World;
    /// An operator pauses a sync, now or soon.
    OperatorPause: World;
    /// An operator takes such a pause back.
    OperatorTakesBack: World;
    /// An operator lets an open window close later.
    OperatorExtend: World;
    /// An operator exempts a sync, or all.
    OperatorExempt: World;
    /// An operator ends an exemption.
    OperatorEndsExemption: World;
    /// An operator forgets a sync that is gone.
    OperatorForget: World;
}
