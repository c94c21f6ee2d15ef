//! The floor: who stands where and until when, so that no two bodies stand in the same place.

/// Bodies keep so far apart where they stand, metres.
const APART_M: f64 = 0.35;

/// A place that somebody has taken for a time.
#[derive(Clone, Copy, Debug)]
struct Booking {
    shopper: u64,
    place: (f64, f64),
    from_t: f64,
    until_t: f64,
}

/// Every place that is taken now or later; at most a few for each shopper inside.
#[derive(Clone, Debug, Default)]
pub(super) struct Floor {
    bookings: Vec<Booking>,
}

impl Floor {
    /// Whether nobody but `shopper` stands near `place` in that time.
    pub fn is_free(&self, shopper: u64, place: (f64, f64), from_t: f64, until_t: f64) -> bool {
        self.is_free_for(&[shopper], place, from_t, until_t)
    }

    /// Whether nobody but these shoppers stands near `place` in that time.
    pub fn is_free_for(
        &self,
        shoppers: &[u64],
        place: (f64, f64),
        from_t: f64,
        until_t: f64,
    ) -> bool {
        self.bookings.iter().all(|other| {
            shoppers.contains(&other.shopper)
                || (other.place.0 - place.0).hypot(other.place.1 - place.1) >= APART_M
                || until_t < other.from_t
                || other.until_t < from_t
        })
    }

    /// Takes a place for a time.
    pub fn book(&mut self, shopper: u64, place: (f64, f64), from_t: f64, until_t: f64) {
        self.bookings.push(Booking {
            shopper,
            place,
            from_t,
            until_t,
        });
    }

    /// The shopper leaves where it stands at `t`.
    pub fn release(&mut self, shopper: u64, t: f64) {
        for booking in &mut self.bookings {
            if booking.shopper == shopper {
                booking.until_t = booking.until_t.min(t);
            }
        }
    }

    /// Places that are taken now or later.
    #[cfg(test)]
    pub fn bookings(&self) -> usize {
        self.bookings.len()
    }

    /// Drops what is over at `t`.
    pub fn forget_before(&mut self, t: f64) {
        self.bookings.retain(|booking| booking.until_t >= t);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_when_nobody_else_is_near_at_that_time() {
        let mut floor = Floor::default();
        floor.book(1, (1.0, -0.5), 10.0, 20.0);
        for (shopper, place, from_t, until_t, free) in [
            (2, (1.2, -0.5), 12.0, 14.0, false),
            (2, (1.2, -0.5), 18.0, 30.0, false),
            (2, (1.2, -0.5), 20.5, 30.0, true),
            (2, (1.2, -0.5), 0.0, 9.0, true),
            (2, (1.4, -0.5), 12.0, 14.0, true),
            (2, (1.0, -0.9), 12.0, 14.0, true),
            (1, (1.2, -0.5), 12.0, 14.0, true),
        ] {
            assert_eq!(
                floor.is_free(shopper, place, from_t, until_t),
                free,
                "{shopper} at {place:?} from {from_t} to {until_t}"
            );
        }
        floor.release(1, 12.0);
        assert!(floor.is_free(2, (1.0, -0.5), 13.0, 20.0));
        floor.forget_before(12.5);
        assert!(floor.bookings.is_empty());
    }
}
