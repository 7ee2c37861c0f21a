//! Turns serde's words about unknown names into advice: the nearest known name.

/// What a message of serde about an unknown field or variant says, with the nearest known name.
///
/// `None` when the message is about something else.
pub(crate) fn advice(message: &str) -> Option<Advice> {
    let rest = message
        .strip_prefix("unknown field ")
        .or_else(|| message.strip_prefix("unknown variant "))?;
    let mut names = rest.split('`').skip(1).step_by(2);
    let unknown = names.next()?.to_owned();
    let known: Vec<&str> = names.collect();
    let nearest = nearest(&unknown, known.iter().copied()).map(str::to_owned);
    let is_field = message.starts_with("unknown field");
    let kind = if is_field { "key" } else { "word" };
    let text = match &nearest {
        Some(name) => format!("unknown {kind} `{unknown}`: did you mean `{name}`?"),
        None if known.is_empty() => format!("unknown {kind} `{unknown}`: nothing may stand here"),
        None => format!("unknown {kind} `{unknown}`: known are {}", known.join(", ")),
    };
    Some(Advice {
        text,
        field: is_field.then_some(unknown),
    })
}

/// A message for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Advice {
    /// The message.
    pub(crate) text: String,
    /// The unknown field, when it is one.
    pub(crate) field: Option<String>,
}

/// The known name that differs least, unless all differ by more than half of their letters.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|known| (strsim::osa_distance(known, name), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let found = advice("unknown field `limts`, expected one of `name`, `limits`").unwrap();
        assert_eq!(found.text, "unknown key `limts`: did you mean `limits`?");
        assert_eq!(found.field.as_deref(), Some("limts"));
    }

    #[test]
    fn far_names_are_listed_and_other_messages_left_alone() {
        let found = advice("unknown variant `zzzzzzzzzz`, expected `a` or `b`").unwrap();
        assert_eq!(found.text, "unknown word `zzzzzzzzzz`: known are a, b");
        assert_eq!(advice("invalid type: integer"), None);
    }
}
