//! Bodies that come besides the shoppers: staff, and people who follow a shopper in.

use rand::RngExt;

use super::Store;
use super::random::{Stream, open};
use super::shopper::{GATE_S, Part, Shopper};
use super::situation::Situation;

/// Numbers of followers and of staff begin here: no shopper's is as high.
const FOLLOWERS: u64 = 1 << 40;
const STAFF: u64 = 1 << 41;
/// A follower passes the gate so long after the shopper, seconds.
const BEHIND_S: std::ops::Range<f64> = 0.7..1.1;
/// Of so many shoppers one is followed, and after so many one of the staff comes.
const FOLLOWED_EVERY: u64 = 2;
pub(super) const STAFF_EVERY: u64 = 4;
/// Staff come so long after a shopper, seconds.
const STAFF_AFTER_S: std::ops::Range<f64> = 2.0..5.0;
/// In a store that is open for ever staff come when so many of the facings want filling, and not more often than this,
/// seconds.
const LOW_PART: f64 = 0.2;
const STAFF_GAP_S: f64 = 60.0;

impl Store {
    /// Lets somebody without a code in behind the shopper of that index, who passes the gate when it decides next.
    pub(super) fn follow_in(&mut self, index: usize) {
        let (number, pass_t) = (self.shoppers[index].number, self.shoppers[index].next_t);
        if !number.is_multiple_of(FOLLOWED_EVERY) {
            return;
        }
        let number = FOLLOWERS + number;
        let mut follower = Shopper::new(self.seed, number, None, pass_t, &self.premises);
        follower.part = Part::Tailgater;
        follower.stops_left = follower.random.random_range(2..5);
        let pass_t = pass_t + follower.random.random_range(BEHIND_S);
        let gate = self.premises.gate;
        (self.premises.floor).book(number, gate, pass_t - 0.5 * GATE_S, pass_t + 0.5 * GATE_S);
        follower.pass_in(self.seed, pass_t, &mut self.premises);
        self.shoppers.push(follower);
    }

    /// Lets staff come after the shopper of that number, who came at `t`, if the situation asks for it or, in a
    /// store that is open for ever, if the facings do.
    pub(super) fn send_staff(&mut self, number: u64, t: f64) {
        let stock = &self.premises.stock;
        let low = stock.low();
        let planned = self.options.situations.contains(&Situation::Staff)
            && number.is_multiple_of(STAFF_EVERY);
        let needed = self.options.shoppers.is_none()
            && low as f64 >= LOW_PART * stock.facings().len() as f64
            && low > 0;
        let rested = self
            .staff_came_t
            .is_none_or(|came_t| t >= came_t + STAFF_GAP_S);
        let phones = self.keys.len() - self.shopper_devices;
        if phones == 0 || !(planned || (needed && rested)) {
            return;
        }
        let device = self.shopper_devices + (self.staff_visits % phones as u64) as usize;
        let number = STAFF + self.staff_visits;
        let t = t + open(self.seed, Stream::Script(number)).random_range(STAFF_AFTER_S);
        let mut staff = Shopper::new(self.seed, number, Some(device), t, &self.premises);
        staff.part = Part::Staff;
        staff.stops_left = if needed {
            (low as u32).clamp(4, 24)
        } else {
            staff.random.random_range(4..8)
        };
        self.staff_visits += 1;
        self.staff_came_t = Some(t);
        self.shoppers.push(staff);
    }
}
