//! `numeric` and `money` as text: digits into the unscaled two's complement form that Connect has.

/// The text of a `numeric`, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numeric<'a> {
    NaN,
    Infinity,
    NegativeInfinity,
    Finite(Digits<'a>),
}

/// Sign and digits; PostgreSQL writes no exponents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits<'a> {
    pub negative: bool,
    pub integer: &'a [u8],
    pub fraction: &'a [u8],
}

/// The text is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a number")]
pub struct NotANumber;

/// Takes the text of a `numeric` apart.
pub fn parse(text: &[u8]) -> Result<Numeric<'_>, NotANumber> {
    match text {
        b"NaN" => return Ok(Numeric::NaN),
        b"Infinity" => return Ok(Numeric::Infinity),
        b"-Infinity" => return Ok(Numeric::NegativeInfinity),
        _ => {}
    }
    let (negative, unsigned) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (integer, fraction) = match memchr::memchr(b'.', unsigned) {
        Some(point) => (&unsigned[..point], &unsigned[point + 1..]),
        None => (unsigned, &b""[..]),
    };
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    if (integer.is_empty() && fraction.is_empty()) || !digits(integer) || !digits(fraction) {
        return Err(NotANumber);
    }
    Ok(Numeric::Finite(Digits { negative, integer, fraction }))
}

/// Digits that fit an `i128` whatever they are.
const FAST_DIGITS_MAX: usize = 38;

impl Digits<'_> {
    /// Digits behind the point.
    pub fn scale(&self) -> i32 {
        i32::try_from(self.fraction.len()).unwrap_or(i32::MAX)
    }

    /// The same number without zeros at the end of the fraction.
    pub fn stripped(mut self) -> Self {
        while let Some((b'0', rest)) = self.fraction.split_last() {
            self.fraction = rest;
        }
        self
    }

    /// Whether all digits are zero.
    pub fn is_zero(&self) -> bool {
        self.integer.iter().chain(self.fraction).all(|digit| *digit == b'0')
    }

    /// Number × 10^scale in big-endian two's complement, in as few bytes as possible, as Java's
    /// `BigInteger.toByteArray` gives it. Digits beyond the scale must be zeros: `None` where they are not.
    pub fn unscaled(&self, scale: i32) -> Option<Unscaled> {
        let zeros = scale.checked_sub(self.scale())?;
        let (digits, zeros) = match usize::try_from(zeros) {
            Ok(zeros) => (self.integer.iter().chain(self.fraction).copied(), zeros),
            Err(_) => return self.shortened(usize::try_from(zeros.unsigned_abs()).ok()?),
        };
        let count = self.integer.len() + self.fraction.len() + zeros;
        let digits = digits.chain(std::iter::repeat_n(b'0', zeros));
        Some(if count <= FAST_DIGITS_MAX {
            let magnitude = digits.fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
            Unscaled::from_i128(if self.negative { -magnitude } else { magnitude })
        } else {
            Unscaled::from_digits(digits, self.negative)
        })
    }

    /// As [`Self::unscaled`] where `cut` digits must go (a scale below that of the text, negative ones too).
    fn shortened(&self, cut: usize) -> Option<Unscaled> {
        let all: Vec<u8> = self.integer.iter().chain(self.fraction).copied().collect();
        let keep = all.len().saturating_sub(cut);
        if all[keep..].iter().any(|digit| *digit != b'0') {
            return None;
        }
        Some(Unscaled::from_digits(all[..keep].iter().copied(), self.negative))
    }
}

/// Two's complement, big-endian; in place for up to 16 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unscaled {
    Small { bytes: [u8; 16], start: u8 },
    Large(Vec<u8>),
}

impl Unscaled {
    pub fn from_i128(number: i128) -> Self {
        let bytes = number.to_be_bytes();
        // A leading byte is superfluous when it repeats the sign of the byte behind it.
        let fill = if number < 0 { 0xff } else { 0 };
        let mut start = 0;
        while start < 15 && bytes[start] == fill && (bytes[start + 1] ^ fill) & 0x80 == 0 {
            start += 1;
        }
        Self::Small { bytes, start: start as u8 }
    }

    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Small { bytes, start } => &bytes[usize::from(*start)..],
            Self::Large(bytes) => bytes,
        }
    }

    /// Any number of digits: groups of nine into base 2^32, then two's complement.
    fn from_digits(digits: impl Iterator<Item = u8>, negative: bool) -> Self {
        // Least significant limb first.
        let mut limbs: Vec<u32> = vec![];
        let mut group = 0_u32;
        let mut factor = 1_u32;
        for digit in digits {
            group = group * 10 + u32::from(digit - b'0');
            factor *= 10;
            if factor == 1_000_000_000 {
                multiply_add(&mut limbs, factor, group);
                (group, factor) = (0, 1);
            }
        }
        multiply_add(&mut limbs, factor, group);
        let mut bytes: Vec<u8> =
            std::iter::once(0).chain(limbs.iter().rev().flat_map(|limb| limb.to_be_bytes())).collect();
        if negative {
            let mut carry = true;
            for byte in bytes.iter_mut().rev() {
                (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
            }
        }
        let fill = if bytes[0] & 0x80 != 0 { 0xff } else { 0 };
        let superfluous =
            bytes.windows(2).take_while(|pair| pair[0] == fill && (pair[1] ^ fill) & 0x80 == 0).count();
        bytes.drain(..superfluous);
        Self::Large(bytes)
    }
}

fn multiply_add(limbs: &mut Vec<u32>, factor: u32, summand: u32) {
    let mut carry = u64::from(summand);
    for limb in limbs.iter_mut() {
        let product = u64::from(*limb) * u64::from(factor) + carry;
        *limb = product as u32;
        carry = product >> 32;
    }
    if carry != 0 {
        limbs.push(carry as u32);
    }
}

/// The text of a decimal number from its unscaled bytes, plain, as Java's `BigDecimal.toPlainString`.
pub fn to_text(unscaled: &[u8], scale: i32) -> String {
    let negative = unscaled.first().is_some_and(|byte| byte & 0x80 != 0);
    let mut digits = if unscaled.len() <= 16 {
        let fill = if negative { 0xff } else { 0 };
        let mut bytes = [fill; 16];
        bytes[16 - unscaled.len()..].copy_from_slice(unscaled);
        i128::from_be_bytes(bytes).unsigned_abs().to_string()
    } else {
        magnitude_text(unscaled, negative)
    };
    if scale > 0 {
        let scale = scale as usize;
        if digits.len() <= scale {
            digits.insert_str(0, &"0".repeat(scale + 1 - digits.len()));
        }
        digits.insert(digits.len() - scale, '.');
    } else if digits != "0" {
        digits.push_str(&"0".repeat(scale.unsigned_abs() as usize));
    }
    if negative {
        digits.insert(0, '-');
    }
    digits
}

fn magnitude_text(unscaled: &[u8], negative: bool) -> String {
    let mut bytes = unscaled.to_vec();
    if negative {
        let mut carry = true;
        for byte in bytes.iter_mut().rev() {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    let mut groups = vec![];
    while bytes.iter().any(|byte| *byte != 0) {
        let mut remainder = 0_u64;
        for byte in &mut bytes {
            let value = remainder << 8 | u64::from(*byte);
            *byte = (value / 1_000_000_000) as u8;
            remainder = value % 1_000_000_000;
        }
        groups.push(remainder);
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    for group in groups.iter().rev() {
        text.push_str(&format!("{group:09}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, scale: i32, expected: Option<&[u8]>) {
        let Numeric::Finite(digits) = parse(text.as_bytes()).unwrap() else { panic!("{text}") };
        let found = digits.unscaled(scale);
        assert_eq!(found.as_ref().map(Unscaled::as_slice), expected, "{text} at {scale}");
    }

    #[test]
    fn small_numbers() {
        check("0", 0, Some(&[0]));
        check("0.00", 2, Some(&[0]));
        check("-1", 0, Some(&[0xff]));
        check("1.27", 2, Some(&[0x7f]));
        check("1.28", 2, Some(&[0, 0x80]));
        check("-1.28", 2, Some(&[0x80]));
        check("-1.29", 2, Some(&[0xff, 0x7f]));
        check("1.5", 3, Some(&[0x05, 0xdc]));
        check("12000", -3, Some(&[12]));
        check("12001", -3, None);
        check("1.50", 1, Some(&[15]));
    }

    #[test]
    fn large_numbers_agree_with_small_ones() {
        for text in ["1", "-1", "255", "-256", "4294967296", "-4294967296", "170141183460469231731687303715"]
        {
            let Numeric::Finite(digits) = parse(text.as_bytes()).unwrap() else { panic!() };
            let number: i128 = text.parse().unwrap();
            let all = digits.integer.iter().copied();
            assert_eq!(
                Unscaled::from_digits(all, digits.negative).as_slice(),
                Unscaled::from_i128(number).as_slice(),
                "{text}"
            );
        }
        let ten_to_forty = format!("1{}", "0".repeat(40));
        check(
            &ten_to_forty,
            0,
            Some(&[0x1d, 0x63, 0x29, 0xf1, 0xc3, 0x5c, 0xa4, 0xbf, 0xab, 0xb9, 0xf5, 0x61, 0, 0, 0, 0, 0]),
        );
    }

    #[test]
    fn text_and_back() {
        let long = format!("-{}.{}", "123456789".repeat(9), "98765".repeat(5));
        for text in ["0", "0.00", "-0.5", "123.450", "-99999999999999999999999999999999999999.1", &long] {
            let Numeric::Finite(digits) = parse(text.as_bytes()).unwrap() else { panic!() };
            let unscaled = digits.unscaled(digits.scale()).unwrap();
            assert_eq!(to_text(unscaled.as_slice(), digits.scale()), text);
        }
        assert_eq!(to_text(&[12], -3), "12000");
    }

    #[test]
    fn what_is_no_number() {
        for text in ["", "-", ".", "1e5", "1.2.3", "abc"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(parse(b"NaN"), Ok(Numeric::NaN));
        assert_eq!(parse(b"-Infinity"), Ok(Numeric::NegativeInfinity));
    }
}
