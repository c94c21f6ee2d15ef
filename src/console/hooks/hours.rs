//! Opens and closes the store by its hours.

use jiff::tz::TimeZone;

use crate::console::Console;
use crate::console::operate::{Action, act};
use crate::edge::live::wall_now;
use crate::edge::office::OfficeError;

/// Who is written down for it.
const BY: &str = "the opening hours";

/// Does what the hours want, once for each time that they want something else: what a person does in between stands.
pub async fn heed(console: &Console) -> Result<(), OfficeError> {
    let now = jiff::Timestamp::from_microsecond(wall_now().0).unwrap_or_default();
    let now = now.to_zoned(TimeZone::system()).datetime();
    let Some(open) = console.office.hours()?.wants_open(now) else {
        return Ok(());
    };
    if console.office.hours_wanted()? == Some(open) {
        return Ok(());
    }
    let view = console.views.borrow().clone();
    if view.is_closed == open {
        let action = if open { Action::Open } else { Action::Close };
        if let Err(undone) = act(console, BY, action).await {
            tracing::error!("the opening hours wait: {}", undone.sentence());
            return Ok(());
        }
    }
    console.office.keep_hours_wanted(open)
}
