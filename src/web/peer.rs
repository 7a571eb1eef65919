//! Who is at the other end of the control socket, as the kernel tells it.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

/// A file of users is looked through no further than this.
const MOST_BYTES: u64 = 4 << 20;

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    uid: Option<u32>,
    login_uid: Option<u32>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        // The audit system's login uid names the person behind a `sudo`.
        let login_uid = credentials
            .and_then(|it| it.pid())
            .and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/loginuid")).ok())
            .and_then(|text| text.trim().parse().ok())
            .filter(|uid| *uid != u32::MAX);
        Self { uid: credentials.map(|it| it.uid()), login_uid }
    }
}

impl Peer {
    /// How the journal names them.
    pub(super) fn by(&self) -> String {
        match (self.uid, self.login_uid) {
            (Some(uid), Some(login)) if login != uid => {
                format!("operator ({}; login {})", called(uid), called(login))
            }
            (Some(uid), _) => format!("operator ({})", called(uid)),
            (None, _) => "operator".to_owned(),
        }
    }
}

/// A user as the journal names one: `uid 1000, ada`. The number counts; a name
/// is there if this machine's own file of users has one. Directories of users
/// elsewhere are not asked: they may take long, and the daemon's loop waits.
pub fn called(uid: u32) -> String {
    match user_name(uid, Path::new("/etc/passwd")) {
        Some(name) => format!("uid {uid}, {name}"),
        None => format!("uid {uid}"),
    }
}

/// See passwd(5): `name:password:uid:…`, one a line.
fn user_name(uid: u32, users: &Path) -> Option<String> {
    let lines = BufReader::new(File::open(users).ok()?.take(MOST_BYTES)).lines();
    let name = lines.map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })?;
    let is_plain = |c: char| c.is_alphanumeric() || "._-@+$".contains(c);
    (!name.is_empty() && name.chars().all(is_plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_the_name_that_the_file_of_users_tells() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("passwd");
        let lines = "root:x:0:0:root:/root:/bin/bash\n# 7\nbroken\nada:x:1000:1000:Ada,,,:/home/ada:/bin/sh\n\
                     \u{1b}[2J:x:1001:1001::/:/bin/sh\n:x:1002:1002::/:/bin/sh\nbob:x:1000:1::/:/bin/sh\n";
        std::fs::write(&file, lines).unwrap();
        for (uid, name) in
            [(0, Some("root")), (1000, Some("ada")), (1001, None), (1002, None), (7, None), (1003, None)]
        {
            assert_eq!(user_name(uid, &file).as_deref(), name, "{uid}");
        }
        assert_eq!(user_name(0, &folder.path().join("nothing")), None);
    }

    #[test]
    fn who_became_somebody_else_is_named_by_both() {
        let by = |uid, login_uid| Peer { uid, login_uid }.by();
        // These two have no name on any machine.
        let (one, other) = (4_000_000_001, 4_000_000_002);
        assert_eq!(by(Some(one), None), format!("operator (uid {one})"));
        assert_eq!(by(Some(one), Some(one)), format!("operator (uid {one})"));
        assert_eq!(by(Some(one), Some(other)), format!("operator (uid {one}; login uid {other})"));
        assert_eq!(by(None, None), "operator");
    }
}
