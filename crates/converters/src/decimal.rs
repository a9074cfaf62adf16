//! `BigDecimal` to text and back: Connect's vocabulary, under the name that the converters use.

pub(crate) use connect::decimal::*;
