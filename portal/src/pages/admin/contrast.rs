//! Contrast of colours as WCAG 2.2 measures it, in whole numbers: ratios are in hundredths.

/// A colour as red, green and blue.
pub(super) type Rgb = [u8; 3];

/// Reads `#rgb` or `#rrggbb`.
pub(super) fn parse(text: &str) -> Option<Rgb> {
    let hex = text.strip_prefix('#')?;
    let digit = |at: usize| hex.get(at..=at).and_then(|one| u8::from_str_radix(one, 16).ok());
    match hex.len() {
        3 => Some([digit(0)? * 17, digit(1)? * 17, digit(2)? * 17]),
        6 => Some([
            digit(0)? * 16 + digit(1)?,
            digit(2)? * 16 + digit(3)?,
            digit(4)? * 16 + digit(5)?,
        ]),
        _ => None,
    }
}

/// `#rrggbb`.
pub(super) fn hex([red, green, blue]: Rgb) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Relative luminance in millionths.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the standard defines it by a power; it is no amount"
)]
fn luminance(colour: Rgb) -> u64 {
    let linear = |value: u8| {
        let share = f64::from(value) / 255.0;
        if share <= 0.040_45 {
            share / 12.92
        } else {
            ((share + 0.055) / 1.055).powf(2.4)
        }
    };
    let [red, green, blue] = colour.map(linear);
    (0.2126f64.mul_add(red, 0.7152f64.mul_add(green, 0.0722 * blue)) * 1_000_000.0).round() as u64
}

/// The ratio of two colours in hundredths: 100 to 2100.
pub(super) fn ratio(one: Rgb, other: Rgb) -> u64 {
    let (one, other) = (luminance(one), luminance(other));
    let (light, dark) = (one.max(other), one.min(other));
    (light + 50_000) * 100 / (dark + 50_000)
}

/// The colour nearest to `wanted` that reaches `least` on `ground`: mixed with black or white in steps.
pub(super) fn nearest(wanted: Rgb, ground: Rgb, least: u64) -> Rgb {
    for step in 0..=32_u16 {
        for target in [0_u16, 255] {
            let mixed = wanted.map(|value| {
                let mixed = (u16::from(value) * (32 - step) + target * step) / 32;
                u8::try_from(mixed).unwrap_or(u8::MAX)
            });
            if ratio(mixed, ground) >= least {
                return mixed;
            }
        }
    }
    if ratio([0; 3], ground) >= least {
        [0; 3]
    } else {
        [255; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_those_of_the_standard() {
        let (black, white) = ([0; 3], [255; 3]);
        assert_eq!(ratio(black, white), 2_100);
        assert_eq!(ratio(white, white), 100);
        // The grey that is known to pass on white by a hair.
        assert!((450..=460).contains(&ratio(parse("#767676").unwrap(), white)));
        assert!(ratio(parse("#777").unwrap(), white) < 450);
    }

    #[test]
    fn the_nearest_colour_passes_on_any_ground() {
        for ground in ["#fff", "#000", "#808080", "#f60", "#1a2b3c"] {
            let ground = parse(ground).unwrap();
            for wanted in ["#ff0", "#777777", "#0af", "#fff"] {
                let found = nearest(parse(wanted).unwrap(), ground, 450);
                assert!(ratio(found, ground) >= 450, "{wanted} on {ground:?}");
            }
        }
    }

    #[test]
    fn what_is_no_colour_is_none() {
        for text in ["", "#", "#12", "#gggggg", "red", "#ééé", "#1234567"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(hex(parse("#AbC").unwrap()), "#aabbcc");
    }
}
