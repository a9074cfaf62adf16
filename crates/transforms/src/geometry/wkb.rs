//! Well-known binary and PostGIS' extended form of it: a byte order, a type with flags, perhaps an SRID, coordinates.

use connect::TaskError;

const HAS_Z: u32 = 0x8000_0000;
const HAS_M: u32 = 0x4000_0000;
const HAS_SRID: u32 = 0x2000_0000;
/// Collections within collections: deeper ones are refused, they must not exhaust the stack.
const DEPTH_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Big,
    Little,
}

fn refused() -> TaskError {
    TaskError::reject("the bytes of a geometry are not well-known binary")
}

/// Reads from the front of the bytes.
struct Reader<'a> {
    bytes: &'a mut [u8],
    at: usize,
    order: Order,
}

impl Reader<'_> {
    fn order(&mut self) -> Result<(), TaskError> {
        self.order = match self.bytes.get(self.at) {
            Some(0) => Order::Big,
            Some(1) => Order::Little,
            _ => return Err(refused()),
        };
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<u32, TaskError> {
        let word = self.bytes.get(self.at..self.at + 4).ok_or_else(refused)?;
        let word = word.try_into().map_err(|_| refused())?;
        self.at += 4;
        Ok(match self.order {
            Order::Big => u32::from_be_bytes(word),
            Order::Little => u32::from_le_bytes(word),
        })
    }

    /// Exchanges the first two of a point's coordinates.
    fn swap_points(&mut self, count: u32, dimensions: usize) -> Result<(), TaskError> {
        for _ in 0..count {
            let point = self.bytes.get_mut(self.at..self.at + 8 * dimensions).ok_or_else(refused)?;
            let (x, y) = point[..16].split_at_mut(8);
            x.swap_with_slice(y);
            self.at += 8 * dimensions;
        }
        Ok(())
    }

    fn swap_geometry(&mut self, depth: usize) -> Result<(), TaskError> {
        if depth > DEPTH_MAX {
            return Err(refused());
        }
        self.order()?;
        let kind = self.number()?;
        if kind & HAS_SRID != 0 {
            self.number()?;
        }
        let base = kind & !(HAS_Z | HAS_M | HAS_SRID);
        // ISO has thousands where PostGIS has flags.
        let (base, thousands) = (base % 1000, base / 1000);
        let has_z = kind & HAS_Z != 0 || matches!(thousands, 1 | 3);
        let has_m = kind & HAS_M != 0 || matches!(thousands, 2 | 3);
        let dimensions = 2 + usize::from(has_z) + usize::from(has_m);
        match base {
            1 => self.swap_points(1, dimensions),
            2 => {
                let count = self.number()?;
                self.swap_points(count, dimensions)
            }
            3 => {
                for _ in 0..self.number()? {
                    let count = self.number()?;
                    self.swap_points(count, dimensions)?;
                }
                Ok(())
            }
            4..=7 => {
                for _ in 0..self.number()? {
                    self.swap_geometry(depth + 1)?;
                }
                Ok(())
            }
            _ => Err(refused()),
        }
    }
}

/// Byte order and type.
fn head(bytes: &[u8]) -> Result<(Order, u32), TaskError> {
    let mut copy = bytes.get(..5).ok_or_else(refused)?.to_vec();
    let mut reader = Reader { bytes: &mut copy, at: 0, order: Order::Big };
    reader.order()?;
    let kind = reader.number()?;
    Ok((reader.order, kind))
}

pub(super) fn is_extended(bytes: &[u8]) -> Result<bool, TaskError> {
    Ok(head(bytes)?.1 & HAS_SRID != 0)
}

fn with_kind(order: Order, kind: u32) -> Vec<u8> {
    let mut out = vec![if order == Order::Little { 1 } else { 0 }];
    push(order, kind, &mut out);
    out
}

fn push(order: Order, number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&match order {
        Order::Big => number.to_be_bytes(),
        Order::Little => number.to_le_bytes(),
    });
}

pub(super) fn extended(bytes: &[u8], srid: i32) -> Result<Vec<u8>, TaskError> {
    let (order, kind) = head(bytes)?;
    let mut out = with_kind(order, kind | HAS_SRID);
    push(order, srid as u32, &mut out);
    out.extend_from_slice(&bytes[5..]);
    Ok(out)
}

pub(super) fn plain(bytes: &[u8]) -> Result<Vec<u8>, TaskError> {
    let (order, kind) = head(bytes)?;
    let mut out = with_kind(order, kind & !HAS_SRID);
    out.extend_from_slice(bytes.get(9..).ok_or_else(refused)?);
    Ok(out)
}

pub(super) fn swapped(bytes: &[u8]) -> Result<Vec<u8>, TaskError> {
    let mut copy = bytes.to_vec();
    Reader { bytes: &mut copy, at: 0, order: Order::Big }.swap_geometry(0)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f64, y: f64) -> Vec<u8> {
        let mut out = with_kind(Order::Little, 1);
        out.extend_from_slice(&x.to_le_bytes());
        out.extend_from_slice(&y.to_le_bytes());
        out
    }

    #[test]
    fn there_and_back() {
        let extended = extended(&point(1.0, 2.0), 4326).unwrap();
        assert_eq!((extended.len(), is_extended(&extended).unwrap()), (25, true));
        assert_eq!(plain(&extended).unwrap(), point(1.0, 2.0));
        assert_eq!(swapped(&point(1.0, 2.0)).unwrap(), point(2.0, 1.0));
    }

    #[test]
    fn malformed_bytes_are_refused() {
        let whole = point(1.0, 2.0);
        for end in 0..whole.len() {
            assert!(swapped(&whole[..end]).is_err());
        }
        let mut huge = with_kind(Order::Little, 2);
        push(Order::Little, u32::MAX, &mut huge);
        assert!(swapped(&huge).is_err());
        assert!(swapped(&with_kind(Order::Big, 99)).is_err());
    }
}
