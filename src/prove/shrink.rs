//! Makes a scenario that fails as small as it still fails: fewer faults, timing as usual, earlier recovery.

use super::cells::Scenario;

/// So many scenarios are tried for one failure.
const TRIES: usize = 60;

/// The smallest scenario found that still fails, by the same rule.
pub fn shrink(failing: &Scenario, mut fails: impl FnMut(&Scenario) -> bool) -> Scenario {
    let mut best = failing.clone();
    let mut tries = TRIES;
    'again: loop {
        for simpler in simpler(&best) {
            if tries == 0 {
                return best;
            }
            tries -= 1;
            if fails(&simpler) {
                best = simpler;
                continue 'again;
            }
        }
        return best;
    }
}

/// Scenarios one step simpler, the greatest steps first.
fn simpler(scenario: &Scenario) -> Vec<Scenario> {
    let mut found = Vec::new();
    let legs = &scenario.legs;
    // One process fewer: recovery follows the one before.
    for index in 1..legs.len().saturating_sub(1) {
        let mut fewer = scenario.clone();
        fewer.legs.remove(index);
        found.push(fewer);
    }
    if legs.len() > 1 && legs.last().is_some_and(|last| last.death.is_some() || !last.strikes.is_empty()) {
        found.push(Scenario { legs: legs[..legs.len() - 1].to_vec(), ..scenario.clone() });
    }
    for (index, leg) in legs.iter().enumerate() {
        for strike in 0..leg.strikes.len() {
            let mut fewer = scenario.clone();
            fewer.legs[index].strikes.remove(strike);
            found.push(fewer);
        }
    }
    if !scenario.timing.is_default() {
        found.push(Scenario { timing: Default::default(), ..scenario.clone() });
        found.extend(scenario.timing.simpler().into_iter().map(|timing| Scenario { timing, ..scenario.clone() }));
    }
    for (index, leg) in legs.iter().enumerate() {
        if let Some(death) = leg.death {
            let earlier =
                [0, death.event / 2, death.event.saturating_sub(1)].into_iter().filter(|event| *event > 0 && *event < death.event);
            found.extend(earlier.map(|event| {
                let mut next = scenario.clone();
                next.legs[index].death = Some(super::cells::Death { event, ..death });
                next
            }));
        }
    }
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::super::cells::{Death, Strike};
    use super::super::lab::Go;
    use super::super::timing::Timing;
    use super::*;

    fn strike(fault: &str, call: usize) -> Strike {
        Strike { fault: fault.to_owned(), call }
    }

    fn large() -> Scenario {
        let first = Scenario::calm(Timing::one("boot", 300)).struck(strike("hang", 3)).struck(strike("reply lost", 9));
        first.killed(Death { event: 12, kept: true }).then(Go::Resume).struck(strike("hang", 1)).then(Go::Undo)
    }

    #[test]
    fn what_does_not_matter_goes() {
        let small = shrink(&large(), |s| s.names().contains(&"reply lost"));
        assert_eq!(small.names(), ["reply lost", "killed, event kept"]);
        assert!(small.timing.is_default());
        assert_eq!(small.legs.len(), 2, "whoever is last is who fails");
        assert_eq!(small.legs[0].death, Some(Death { event: 1, kept: true }), "recovery begins as early as it can");
    }

    #[test]
    fn what_matters_stays() {
        let both = |s: &Scenario| s.timing == Timing::one("boot", 300) && s.names().iter().filter(|name| **name == "hang").count() == 2;
        let small = shrink(&large(), both);
        assert_eq!(small.timing, Timing::one("boot", 300));
        assert_eq!(small.names().iter().filter(|name| **name == "hang").count(), 2);
        assert_eq!(shrink(&large(), |_| false), large());
    }

    #[test]
    fn it_ends_even_when_everything_fails() {
        assert!(shrink(&large(), |_| true).names().len() <= 1);
    }
}
