//! The names of listeners, and whether what is advertised belongs to them: known before anything is
//! bound.

use std::iter;

use super::{AdvertiseSpec, ListenerSpec, NAME_DEFAULT};

/// The name of each listener: its own, or the default with the first number that is free.
pub(super) fn names(listen: &[ListenerSpec]) -> Vec<String> {
    let is_given = |name: &str| listen.iter().any(|spec| spec.name.as_deref() == Some(name));
    let mut names: Vec<String> = Vec::new();
    for spec in listen {
        let defaults = iter::once(NAME_DEFAULT.to_owned())
            .chain((2_usize..).map(|number| format!("{NAME_DEFAULT}_{number}")));
        let mut free = defaults.filter(|name| !is_given(name) && !names.contains(name));
        let own = spec.name.clone();
        names.extend(own.or_else(|| free.next()));
    }
    names
}

/// Which listener of those with these names `spec` is for.
pub(super) fn advertised(spec: &AdvertiseSpec, names: &[String]) -> Option<usize> {
    match &spec.name {
        Some(name) => names.iter().position(|known| known == name),
        None => (!names.is_empty()).then_some(0),
    }
}

/// Everything that is wrong with where to listen and what to tell clients, as far as it can be told
/// without trying: two listeners of one name, and an advertised address that belongs to no
/// listener, or to one that has another.
#[must_use]
pub fn listener_problems(listen: &[ListenerSpec], advertise: &[AdvertiseSpec]) -> Vec<String> {
    let names = names(listen);
    let mut problems = Vec::new();
    for (at, name) in names.iter().enumerate() {
        // Told once, at the second.
        if names.iter().take(at).filter(|other| *other == name).count() == 1 {
            problems.push(format!(
                "two listeners are named {name}; give each NAME://HOST:PORT a name of its own"
            ));
        }
    }
    let owners: Vec<_> = advertise
        .iter()
        .map(|spec| advertised(spec, &names))
        .collect();
    for (at, (spec, owner)) in advertise.iter().zip(&owners).enumerate() {
        let earlier = owners.iter().take(at);
        match owner.and_then(|owner| names.get(owner)) {
            Some(name) if earlier.filter(|other| *other == owner).count() == 1 => {
                problems.push(format!(
                    "the listener {name} is to be advertised as two addresses; give it one"
                ));
            }
            Some(_) => {}
            None if names.is_empty() => problems.push(format!(
                "{spec} is to be advertised, but there is no listener"
            )),
            None => problems.push(format!(
                "{spec} is to be advertised, but no listener has that name; there is {}",
                distinct(&names).join(", ")
            )),
        }
    }
    problems
}

fn distinct(names: &[String]) -> Vec<&str> {
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(listen: &[&str], advertise: &[&str]) -> Vec<String> {
        let listen: Vec<ListenerSpec> = listen.iter().map(|text| text.parse().unwrap()).collect();
        let advertise: Vec<AdvertiseSpec> =
            advertise.iter().map(|text| text.parse().unwrap()).collect();
        listener_problems(&listen, &advertise)
    }

    #[test]
    fn names_are_unique() {
        let specs = ["PLAINTEXT_2://:1", ":2", ":3", "A://:4", ":5"];
        let listen: Vec<ListenerSpec> = specs.iter().map(|text| text.parse().unwrap()).collect();
        let expected = [
            "PLAINTEXT_2",
            "PLAINTEXT",
            "PLAINTEXT_3",
            "A",
            "PLAINTEXT_4",
        ];
        assert_eq!(names(&listen), expected);
        assert_eq!(listener_problems(&listen, &[]), Vec::<String>::new());
    }

    #[test]
    fn every_problem_is_told_once() {
        let told = problems(
            &["A://:1", "A://:2", "A://:3", "B://:4", "B://:5"],
            &["C://h:1", "A://h:1", "A://h:2", "A://h:3"],
        );
        let expected = [
            "two listeners are named A; give each NAME://HOST:PORT a name of its own",
            "two listeners are named B; give each NAME://HOST:PORT a name of its own",
            "C://h:1 is to be advertised, but no listener has that name; there is A, B",
            "the listener A is to be advertised as two addresses; give it one",
        ];
        assert_eq!(told, expected);
        let told = problems(&[], &["[::1]:7"]);
        assert_eq!(
            told,
            ["[::1]:7 is to be advertised, but there is no listener"]
        );
        let told = problems(&[":1", "A://:2"], &["h:1", "PLAINTEXT://h:2"]);
        assert_eq!(told.len(), 1, "no name is the first listener's: {told:?}");
    }
}
