//! The currencies of ISO 4217 in force, with their decimals, symbols and what payment providers ask of them.

use std::fmt;
use std::str::FromStr;

/// A currency in force. Serialised as its code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency(&'static Entry);

#[derive(PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Entry {
    code: &'static str,
    exponent: u8,
}

/// A code that names no currency in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a currency of ISO 4217 in force: write a code such as USD, EUR, JPY or KWD")]
pub struct UnknownCurrency;

/// Codes by number of decimals; funds and metals without a minor unit are left out. Source: ISO 4217 list one.
const CODES: [(u8, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW \
         CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
         IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
         MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
         SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG \
         YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

const COUNT: usize = count();

const fn count() -> usize {
    let mut total = 0;
    let mut group = 0;
    while group < CODES.len() {
        total += CODES[group].1.len().div_ceil(4);
        group += 1;
    }
    total
}

static TABLE: [Entry; COUNT] = table();

/// The table in the order of the codes, computed by the compiler.
const fn table() -> [Entry; COUNT] {
    let mut out = [const { Entry { code: "", exponent: 0 } }; COUNT];
    let mut filled = 0;
    let mut group = 0;
    while group < CODES.len() {
        let (exponent, mut rest) = CODES[group];
        while rest.len() >= 3 {
            let (code, tail) = rest.split_at(3);
            insert(&mut out, filled, Entry { code, exponent });
            filled += 1;
            rest = if tail.is_empty() { "" } else { tail.split_at(1).1 };
        }
        group += 1;
    }
    out
}

/// Puts an entry into its place among the first `filled` entries.
const fn insert(out: &mut [Entry; COUNT], filled: usize, entry: Entry) {
    let mut at = filled;
    while at > 0 && rank(entry.code) < rank(out[at - 1].code) {
        out[at] = Entry {
            code: out[at - 1].code,
            exponent: out[at - 1].exponent,
        };
        at -= 1;
    }
    out[at] = entry;
}

/// The position of a code of three letters in the order of codes.
const fn rank(code: &str) -> u32 {
    let code = code.as_bytes();
    ((code[0] as u32) << 16) | ((code[1] as u32) << 8) | code[2] as u32
}

const fn known(code: &str) -> Currency {
    let mut at = 0;
    while rank(TABLE[at].code) != rank(code) {
        at += 1;
    }
    Currency(&TABLE[at])
}

impl Currency {
    /// US dollar, two decimals.
    pub const USD: Self = known("USD");
    /// Euro, two decimals.
    pub const EUR: Self = known("EUR");
    /// Pound sterling, two decimals.
    pub const GBP: Self = known("GBP");
    /// Yen, no decimals.
    pub const JPY: Self = known("JPY");
    /// Kuwaiti dinar, three decimals.
    pub const KWD: Self = known("KWD");

    /// Every currency, in the order of the codes.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(Self)
    }

    /// The code of ISO 4217, such as `USD`.
    pub const fn code(self) -> &'static str {
        self.0.code
    }

    /// How many decimals the minor unit has: 2 for USD, 0 for JPY, 3 for KWD.
    pub const fn exponent(self) -> u8 {
        self.0.exponent
    }

    /// The symbol that people know, such as `$`; the code where there is none that is not ambiguous.
    pub fn symbol(self) -> &'static str {
        match self.code() {
            "USD" => "$",
            "EUR" => "\u{20ac}",
            "GBP" => "\u{a3}",
            "JPY" => "\u{a5}",
            "AUD" => "A$",
            "BRL" => "R$",
            "CAD" => "CA$",
            "CNY" => "CN\u{a5}",
            "HKD" => "HK$",
            "ILS" => "\u{20aa}",
            "INR" => "\u{20b9}",
            "KRW" => "\u{20a9}",
            "MXN" => "MX$",
            "NZD" => "NZ$",
            "PHP" => "\u{20b1}",
            "TWD" => "NT$",
            "VND" => "\u{20ab}",
            code => code,
        }
    }

    /// The decimals of the integers that Stripe takes. They differ from [`Currency::exponent`] for ISK and UGX (two
    /// decimals that are always 00) and MGA (none). Source: Stripe, "Supported currencies".
    pub fn provider_exponent(self) -> u8 {
        match self.code() {
            "ISK" | "UGX" => 2,
            "MGA" => 0,
            _ => self.exponent(),
        }
    }

    /// What an integer sent to Stripe must be a multiple of, in units of [`Currency::provider_exponent`]: 10 for
    /// currencies of three decimals, 100 for ISK and UGX, 1 for all others.
    pub fn chargeable_step(self) -> u32 {
        match (self.code(), self.exponent()) {
            ("ISK" | "UGX", _) => 100,
            (_, 3) => 10,
            _ => 1,
        }
    }

    /// The part of an amount of minor units that can be charged, towards zero: of 3704 fils, 3700. The rest is kept
    /// in the ledger. ISK and UGX can be charged in full, since their step is one whole unit.
    pub fn chargeable_part(self, minor: i64) -> i64 {
        let step = if self.exponent() == 3 { 10 } else { 1 };
        minor - minor % step
    }

    /// The smallest charge in minor units that Stripe takes; `None` where its table names none (there it depends on
    /// the currency of settlement). Source: Stripe, "Minimum and maximum charge amounts".
    pub fn minimum_charge(self) -> Option<i64> {
        let minimum = match self.code() {
            "USD" | "AUD" | "BRL" | "CAD" | "CHF" | "EUR" | "INR" | "NZD" | "SGD" | "JPY" => 50,
            "GBP" => 30,
            "AED" | "MYR" | "PLN" | "RON" => 200,
            "DKK" => 250,
            "NOK" | "SEK" => 300,
            "HKD" => 400,
            "MXN" | "THB" => 1_000,
            "CZK" => 1_500,
            "HUF" => 17_500,
            _ => return None,
        };
        Some(minimum)
    }
}

impl Default for Currency {
    fn default() -> Self {
        Self::USD
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    /// The currency of a code in capitals.
    fn from_str(code: &str) -> Result<Self, UnknownCurrency> {
        let found = TABLE
            .binary_search_by(|entry| entry.code.cmp(code))
            .map_err(|_| UnknownCurrency)?;
        TABLE.get(found).map(Self).ok_or(UnknownCurrency)
    }
}

impl serde::Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> serde::Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        code.parse().map_err(|error| {
            let shown: String = code.chars().take(12).collect();
            serde::de::Error::custom(format_args!("`{shown}` is {error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_and_no_code_is_twice() {
        let codes: Vec<&str> = Currency::all().map(Currency::code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        for currency in Currency::all() {
            assert!(
                currency.code().bytes().all(|byte| byte.is_ascii_uppercase()),
                "{currency}"
            );
            assert_eq!(currency.code().parse(), Ok(currency));
        }
        assert!((155..=185).contains(&codes.len()), "{}", codes.len());
    }

    #[test]
    fn decimals_follow_iso_4217() {
        for (code, decimals) in [
            ("USD", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("ISK", 0),
            ("CLF", 4),
            ("MRU", 2),
            ("ZWG", 2),
        ] {
            assert_eq!(code.parse::<Currency>().unwrap().exponent(), decimals, "{code}");
        }
    }

    #[test]
    fn withdrawn_and_invented_codes_are_refused() {
        for code in ["", "usd", "US", "USDX", "XXX", "XAU", "DEM", "ANG", "HRK", "BGN"] {
            assert_eq!(code.parse::<Currency>(), Err(UnknownCurrency), "{code}");
        }
    }

    #[test]
    fn row_45_three_decimals_are_charged_in_steps_of_ten() {
        assert_eq!(Currency::KWD.chargeable_step(), 10);
        assert_eq!(Currency::KWD.chargeable_part(3_704), 3_700);
        assert_eq!(Currency::KWD.chargeable_part(-3_704), -3_700);
        assert_eq!(Currency::USD.chargeable_part(3_704), 3_704);
    }

    #[test]
    fn krona_are_sent_with_two_zeros() {
        let krona: Currency = "ISK".parse().unwrap();
        assert_eq!(
            (krona.exponent(), krona.provider_exponent(), krona.chargeable_step()),
            (0, 2, 100)
        );
        assert_eq!(krona.chargeable_part(37), 37);
    }

    #[test]
    fn a_currency_is_its_code_in_json() {
        assert_eq!(serde_json::to_string(&Currency::EUR).unwrap(), "\"EUR\"");
        assert_eq!(serde_json::from_str::<Currency>("\"JPY\"").unwrap(), Currency::JPY);
        let refusal = serde_json::from_str::<Currency>("\"usd\"").unwrap_err().to_string();
        assert!(refusal.contains("`usd`"), "{refusal}");
    }
}
