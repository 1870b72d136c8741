//! Time and money, in the units in which the chain counts them.
#![warn(missing_docs)]

/// Slots, blocks, sessions.
pub mod time {
    use crate::BlockNumber;

    /// Length of a BABE slot, and so the expected time between two blocks, in milliseconds.
    pub const SLOT_DURATION: u64 = 2_000;

    /// One minute, in blocks.
    pub const MINUTES: BlockNumber = 60_000 / (SLOT_DURATION as BlockNumber);
    /// One hour, in blocks.
    pub const HOURS: BlockNumber = 60 * MINUTES;
    /// One day, in blocks.
    pub const DAYS: BlockNumber = 24 * HOURS;

    /// Length of a BABE epoch in slots; a session is exactly one epoch.
    ///
    /// One minute on every chain, so that what is tested locally is what runs elsewhere. It may be that short
    /// because nothing draws on the epoch's randomness but slot leadership (checkers are drawn from later authors'
    /// VRF outputs), and because a session does not imply an election: the session manager decides how many sessions
    /// an elected set serves. BABE fixes this length at genesis; changing it afterwards breaks the chain.
    pub const EPOCH_DURATION_IN_SLOTS: u64 = 30;

    /// Chance `c` that a slot has a primary (VRF) leader. The other slots are filled by the secondary VRF leader, so
    /// every slot has a block; a low `c` keeps forks between two primary leaders rare.
    pub const PRIMARY_PROBABILITY: (u64, u64) = (1, 4);

    /// For how many sessions an offence can still be reported and punished: one day. Bonds must not be withdrawable
    /// sooner, and the session manager keeps historical roots for as long.
    pub const UNBONDING_SESSIONS: u32 = 24 * 60;
}

/// Balances and deposits.
pub mod currency {
    use crate::Balance;

    /// One ASY. The token has 12 decimals.
    pub const UNITS: Balance = 1_000_000_000_000;
    /// A thousandth of an ASY.
    pub const MILLIUNITS: Balance = UNITS / 1_000;
    /// A millionth of an ASY.
    pub const MICROUNITS: Balance = UNITS / 1_000_000;

    /// The symbol that chain specs, wallets and the metadata hash show.
    pub const TOKEN_SYMBOL: &str = "ASY";
    /// How many decimal places a wallet shows.
    pub const TOKEN_DECIMALS: u8 = 12;
    /// The generic Substrate prefix: no prefix of our own is registered, and an unregistered one would clash with
    /// whoever registers it.
    pub const SS58_PREFIX: u16 = 42;

    /// The least that an account may own: what its record costs everyone to keep.
    pub const EXISTENTIAL_DEPOSIT: Balance = MILLIUNITS;

    /// The deposit for `items` storage entries that hold `bytes` bytes in total.
    pub const fn deposit(items: u32, bytes: u32) -> Balance {
        items as Balance * 100 * MILLIUNITS + bytes as Balance * 100 * MICROUNITS
    }
}
