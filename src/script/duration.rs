//! Durations as playbooks write them: `"90s"`, `"5m"`, `"1h30m"`, `"500ms"`.

use std::time::Duration;

/// Longer is taken for a mistake.
const DAYS_MAX: u64 = 366;

/// Largest first, as they must be written.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses `"1h30m"`; the error shows the form.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("\"{text}\" is no duration; write e.g. \"90s\", \"5m\", \"1h30m\" or \"500ms\"");
    let mut rest = text;
    let mut units = UNITS.as_slice();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let count: u64 = rest[..digits].parse().map_err(|_| bad())?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |n| digits + n);
        let at = units.iter().position(|(unit, _)| *unit == &rest[digits..unit_end]).ok_or_else(bad)?;
        total = count.checked_mul(units[at].1).and_then(|ms| total.checked_add(ms)).ok_or_else(bad)?;
        units = &units[at + 1..];
        rest = &rest[unit_end..];
    }
    if text.is_empty() {
        return Err(bad());
    }
    if total > DAYS_MAX * UNITS[0].1 {
        return Err(format!("\"{text}\" is longer than {DAYS_MAX} days"));
    }
    Ok(Duration::from_millis(total))
}

/// The shortest text that `parse_duration` reads back as the same, to the millisecond.
pub fn show_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut out = String::new();
    for (unit, size) in UNITS {
        if rest >= size {
            out.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if out.is_empty() { "0s".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_forms_of_the_manual_parse() {
        for (text, ms) in
            [("90s", 90_000), ("5m", 300_000), ("1h30m", 5_400_000), ("500ms", 500), ("2d", 172_800_000), ("1s5ms", 1_005), ("0s", 0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_the_form() {
        for text in [
            "",
            "5",
            "m",
            "5 m",
            "5min",
            "-5m",
            "1.5h",
            "30m1h",
            "5m5m",
            "5M",
            " 5m",
            "99999999999999999999s",
            "18446744073709551615h",
            "٥m",
        ] {
            let error = parse_duration(text).expect_err(text);
            assert_eq!(error, format!("\"{text}\" is no duration; write e.g. \"90s\", \"5m\", \"1h30m\" or \"500ms\""));
        }
        assert_eq!(parse_duration("367d"), Err("\"367d\" is longer than 366 days".into()));
    }

    proptest! {
        #[test]
        fn shown_durations_read_back_as_the_same(ms in 0u64..366 * 86_400_000) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
    }
}
