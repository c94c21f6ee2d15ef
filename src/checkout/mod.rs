//! Who took it, and what it costs: sessions, attribution, carts, payment and receipts.

pub mod attribution;
pub mod cart;
pub mod decision;
pub mod entry;
pub mod entry_code;
pub mod payment;
pub mod receipt;
pub mod session;
pub mod tracks;

pub use decision::Decision;
pub use receipt::Receipt;
pub use session::SessionId;
