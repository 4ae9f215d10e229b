//! Capacity and traffic of each colour over the time of a run, a row of blocks for each.

use crate::prove::plan::{ColorSample, Sample};

/// Columns of a row.
const WIDTH: usize = 56;
/// Nothing is not the same as little.
const LEVELS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The rows of one environment.
pub fn chart(samples: &[Sample], env: &str, seconds: f64) -> Vec<String> {
    let Some(first) = samples.first().and_then(|sample| sample.envs.get(env)) else { return Vec::new() };
    let names: Vec<&String> = first.keys().collect();
    let at = |name: &str, seconds: f64| {
        let until = samples.partition_point(|sample| sample.at_seconds <= seconds).max(1) - 1;
        samples[until].envs.get(env).and_then(|colors| colors.get(name)).copied().unwrap_or_default()
    };
    let columns = |name: &str| -> Vec<ColorSample> { (0..WIDTH).map(|n| at(name, seconds * (n as f64 + 0.5) / WIDTH as f64)).collect() };
    let most = samples.iter().filter_map(|s| s.envs.get(env)).flat_map(|colors| colors.values()).map(|color| color.in_service).max();
    let most = f64::from(most.unwrap_or(0).max(1));
    // A colour that never has anything has no row.
    let is_there =
        |name: &&&String| samples.iter().filter_map(|s| s.envs.get(env)?.get(**name)).any(|color| *color != ColorSample::default());
    let names: Vec<&&String> = names.iter().filter(is_there).collect();
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut rows = Vec::new();
    for name in names {
        let (all, begin, end) = (columns(name), at(name, 0.0), at(name, f64::MAX));
        let row = |head: &str, what: &str, from: String, values: Vec<f64>, to: String| {
            let bar: String = values.into_iter().map(block).collect();
            format!("  {head:width$}  {what:9} {from:>5} {bar} {to}")
        };
        let healthy = |sample: &ColorSample| f64::from(sample.healthy) / most;
        let running = |sample: &ColorSample| f64::from(sample.in_service) / most;
        let percent = |sample: &ColorSample| format!("{:.0} %", sample.share * 100.0);
        let number = |sample: &ColorSample| sample.in_service.to_string();
        rows.push(row(name, "instances", number(&begin), all.iter().map(running).collect(), number(&end)));
        let counted = |sample: &ColorSample| sample.healthy.to_string();
        rows.push(row("", "healthy", counted(&begin), all.iter().map(healthy).collect(), counted(&end)));
        rows.push(row("", "traffic", percent(&begin), all.iter().map(|sample| sample.share).collect(), percent(&end)));
    }
    rows
}

/// 0 to 1 as a block; anything above nothing is seen.
fn block(value: f64) -> char {
    let level = if value <= 0.0 { 0 } else { (value * 8.0).round().clamp(1.0, 8.0) as usize };
    LEVELS[level]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn sample(at_seconds: f64, blue: (u32, f64), green: (u32, f64)) -> Sample {
        let color = |(count, share): (u32, f64)| ColorSample { in_service: count, healthy: count, share };
        let colors = BTreeMap::from([("blue".to_owned(), color(blue)), ("green".to_owned(), color(green))]);
        let none = BTreeMap::from([("original".to_owned(), ColorSample::default())]);
        Sample { at_seconds, envs: BTreeMap::from([("beta".to_owned(), colors.into_iter().chain(none).collect())]) }
    }

    #[test]
    fn each_colour_has_its_rows_and_one_that_is_not_there_has_none() {
        let samples = [sample(0.0, (4, 1.0), (0, 0.0)), sample(30.0, (4, 1.0), (4, 0.0)), sample(60.0, (4, 0.0), (4, 1.0))];
        let rows = chart(&samples, "beta", 120.0);
        insta::assert_snapshot!(rows.join("\n"), @"
        blue   instances     4 ████████████████████████████████████████████████████████ 4
               healthy       4 ████████████████████████████████████████████████████████ 4
               traffic   100 % ████████████████████████████···························· 0 %
        green  instances     0 ··············██████████████████████████████████████████ 4
               healthy       0 ··············██████████████████████████████████████████ 4
               traffic     0 % ····························████████████████████████████ 100 %
        ");
        assert!(chart(&samples, "prod", 120.0).is_empty() && chart(&[], "beta", 1.0).is_empty());
    }
}
