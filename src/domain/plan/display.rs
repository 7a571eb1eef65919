//! Steps in the words of a dry run.

use std::fmt;

use super::Step;

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rest { .. } => f.write_str("nothing to do"),
            Self::Look => f.write_str("look at it"),
            Self::Pause { hold, until } => {
                write!(f, "pause until {}", until.format("%Y-%m-%dT%H:%M:%SZ"))?;
                let windows: Vec<&str> = hold.holders.iter().map(|it| it.window.as_str()).collect();
                write!(f, " for {}", windows.join(", "))
            }
            Self::Resume { .. } => f.write_str("resume"),
            Self::Keep { hold, events, .. } => match events.first() {
                Some(event) => write!(f, "note that it is {} ({})", hold.state.as_str(), event.kind),
                None => write!(f, "note that it is {}", hold.state.as_str()),
            },
            Self::Forget { .. } => f.write_str("drop its row"),
            Self::Defer { .. } => f.write_str("try again later"),
        }
    }
}
