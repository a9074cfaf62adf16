//! Keys in the form in which Debezium stores them: hex of an `Object[]` in Java's serialised form.
//!
//! The form is the one of `ObjectOutputStream` (Java Object Serialization Specification, chapter 6). What is written
//! here are the classes that the reference has for columns of a key; whatever else is a string. What is read is any
//! stream, as a tree of values, of which the known classes are understood.

mod read; // stream -> values
mod write; // values -> stream

pub use read::read;
pub use write::write;

const MAGIC: [u8; 4] = [0xac, 0xed, 0, 5];
const NULL: u8 = 0x70;
const REFERENCE: u8 = 0x71;
const CLASS: u8 = 0x72;
const OBJECT: u8 = 0x73;
const STRING: u8 = 0x74;
const ARRAY: u8 = 0x75;
const BLOCK: u8 = 0x77;
const END_BLOCK: u8 = 0x78;
const FIRST_HANDLE: u32 = 0x7e_0000;
/// The class has a `writeObject` of its own: what it wrote ends with [`END_BLOCK`].
const WRITES_ITSELF: u8 = 1;
const SERIALIZABLE: u8 = 2;
const EXTERNALIZABLE: u8 = 4;
const BLOCK_DATA: u8 = 8;

/// One column of a key, as PostgreSQL writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its type, or one that has the same class in Java.
    pub type_oid: u32,
    pub text: Option<String>,
}

/// PostgreSQL's types that have a class of their own.
mod oid {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT4: u32 = 23;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const DATE: u32 = 1082;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const NUMERIC: u32 = 1700;
    pub const UUID: u32 = 2950;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, columns, hex behind the beginning.
    type Vector = (&'static str, &'static [(u32, Option<&'static str>)], &'static str);

    /// As Java 17 wrote them.
    const VECTORS: &[Vector] = &[
        (
            "one",
            &[(oid::INT4, Some("5"))],
            "00000001737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000005",
        ),
        (
            "two",
            &[(oid::INT4, Some("5")), (oid::INT2, Some("7"))],
            "00000002737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b0200007870000000057371007e000200000007",
        ),
        (
            "text",
            &[(oid::INT4, Some("2")), (oid::TEXT, Some("a"))],
            "00000002737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b02000078700000000274000161",
        ),
        (
            "null",
            &[(oid::TEXT, None), (oid::INT4, Some("1"))],
            "0000000270737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000001",
        ),
        (
            "boolean",
            &[(oid::BOOL, Some("t")), (oid::BOOL, Some("f"))],
            "00000002737200116a6176612e6c616e672e426f6f6c65616ecd207280d59cfaee0200015a000576616c75657870017371007e000200",
        ),
        (
            "float4",
            &[(oid::FLOAT4, Some("1.5"))],
            "000000017372000f6a6176612e6c616e672e466c6f6174daedc9a2db3cf0ec02000146000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b02000078703fc00000",
        ),
        (
            "float8",
            &[(oid::FLOAT8, Some("1.5"))],
            "00000001737200106a6176612e6c616e672e446f75626c6580b3c24a296bfb0402000144000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b02000078703ff8000000000000",
        ),
        (
            "bytea",
            &[(oid::BYTEA, Some("\\x010203"))],
            "00000001757200025b42acf317f8060854e0020000787000000003010203",
        ),
        (
            "date",
            &[(oid::DATE, Some("2023-11-15"))],
            "000000017372000d6a6176612e73716c2e4461746514fa46683f3566970200007872000e6a6176612e7574696c2e44617465686a81014b597419030000787077080000018bd047100078",
        ),
        (
            "timestamps",
            &[
                (oid::TIMESTAMPTZ, Some("2023-11-14 22:13:20.123456+00")),
                (oid::TIMESTAMPTZ, Some("1970-01-01 00:00:00+00")),
            ],
            "00000002737200126a6176612e73716c2e54696d657374616d702618d5c80153bf650200014900056e616e6f737872000e6a6176612e7574696c2e44617465686a81014b597419030000787077080000018bcfe5680078075bca007371007e0002770800000000000000007800000000",
        ),
        (
            "numerics",
            &[
                (oid::NUMERIC, Some("1")),
                (oid::NUMERIC, Some("2")),
                (oid::INT4, Some("7")),
                (oid::INT4, Some("8")),
            ],
            "0000000473720024696f2e646562657a69756d2e646174612e5370656369616c56616c7565446563696d616c00000000000000010200024c000c646563696d616c56616c75657400164c6a6176612f6d6174682f426967446563696d616c3b4c000c7370656369616c56616c75657400334c696f2f646562657a69756d2f646174612f5370656369616c56616c7565446563696d616c245370656369616c56616c75653b7870737200146a6176612e6d6174682e426967446563696d616c54c71557f981284f0300024900057363616c654c0006696e7456616c7400164c6a6176612f6d6174682f426967496e74656765723b787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000000737200146a6176612e6d6174682e426967496e74656765728cfc9f1fa93bfb1d030006490008626974436f756e744900096269744c656e67746849001366697273744e6f6e7a65726f427974654e756d49000c6c6f776573745365744269744900067369676e756d5b00096d61676e69747564657400025b427871007e0008fffffffffffffffffffffffefffffffe00000001757200025b42acf317f8060854e0020000787000000001017878707371007e00027371007e0006000000007371007e000afffffffffffffffffffffffefffffffe000000017571007e000d0000000102787870737200116a6176612e6c616e672e496e746567657212e2a0a4f781873802000149000576616c75657871007e0008000000077371007e001300000008",
        ),
        (
            "numeric",
            &[(oid::NUMERIC, Some("123.45"))],
            "0000000173720024696f2e646562657a69756d2e646174612e5370656369616c56616c7565446563696d616c00000000000000010200024c000c646563696d616c56616c75657400164c6a6176612f6d6174682f426967446563696d616c3b4c000c7370656369616c56616c75657400334c696f2f646562657a69756d2f646174612f5370656369616c56616c7565446563696d616c245370656369616c56616c75653b7870737200146a6176612e6d6174682e426967446563696d616c54c71557f981284f0300024900057363616c654c0006696e7456616c7400164c6a6176612f6d6174682f426967496e74656765723b787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000002737200146a6176612e6d6174682e426967496e74656765728cfc9f1fa93bfb1d030006490008626974436f756e744900096269744c656e67746849001366697273744e6f6e7a65726f427974654e756d49000c6c6f776573745365744269744900067369676e756d5b00096d61676e69747564657400025b427871007e0008fffffffffffffffffffffffefffffffe00000001757200025b42acf317f8060854e00200007870000000023039787870",
        ),
        (
            "mixed",
            &[
                (oid::INT8, Some("1")),
                (oid::UUID, Some("00112233-4455-6677-8899-aabbccddeeff")),
                (oid::UUID, Some("00112233-4455-6677-8899-aabbccddee00")),
                (oid::TEXT, Some("x")),
                (oid::INT8, Some("2")),
            ],
            "000000057372000e6a6176612e6c616e672e4c6f6e673b8be490cc8f23df0200014a000576616c7565787200106a6176612e6c616e672e4e756d62657286ac951d0b94e08b020000787000000000000000017372000e6a6176612e7574696c2e55554944bc9903f7986d852f0200024a000c6c65617374536967426974734a000b6d6f73745369674269747378708899aabbccddeeff00112233445566777371007e00058899aabbccddee000011223344556677740001787371007e00020000000000000002",
        ),
    ];
    const HEAD: &str = "aced0005757200135b4c6a6176612e6c616e672e4f626a6563743b90ce589f1073296c0200007870";

    #[test]
    fn as_java_writes_them() {
        for (name, parts, hex) in VECTORS {
            let parts: Vec<Part> = parts
                .iter()
                .map(|(type_oid, text)| Part { type_oid: *type_oid, text: text.map(str::to_owned) })
                .collect();
            assert_eq!(write(Some(&parts)), format!("{HEAD}{hex}"), "{name}");
            let texts = |parts: &[Part]| parts.iter().map(|part| part.text.clone()).collect::<Vec<_>>();
            let read = read(&format!("{HEAD}{hex}")).unwrap().unwrap();
            assert_eq!(texts(&read), texts(&parts), "{name}");
            // What was read is written back as it was.
            assert_eq!(write(Some(&read)), format!("{HEAD}{hex}"), "{name}");
        }
        assert_eq!(write(None), "aced000570");
        assert_eq!(read("aced000570").unwrap(), None);
    }

    #[test]
    fn other_streams() {
        // A `LocalDate`, an `OffsetDateTime`.
        let local =
            "000000017372000d6a6176612e74696d652e536572955d84ba1b2248b20c00007870770703000007e8020378";
        assert_eq!(read(&format!("{HEAD}{local}")).unwrap().unwrap()[0].text.as_deref(), Some("2024-02-03"));
        for text in [
            "",
            "zz",
            "aced0005",
            "aced000571007e0000",
            &format!("{HEAD}7fffffff70"),
            &format!("{HEAD}0000000173"),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        // Every beginning of a stream is an error, and none a panic.
        let whole = format!("{HEAD}{}", VECTORS[10].2);
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
    }
}
