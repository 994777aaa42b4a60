//! "Did you mean": the known word nearest to an unknown one.

/// The known word nearest to `word`, as `, did you mean `x`?`; empty if none is near.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let most = 1 + word.chars().count() / 4;
    known
        .into_iter()
        .map(|k| (distance(&word.to_lowercase(), &k.to_lowercase()), k))
        .filter(|(d, k)| *d <= most && *d < k.chars().count())
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| format!(", did you mean `{k}`?"))
        .unwrap_or_default()
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one text into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, x) in a.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let at = |v: &[usize], k: usize| v.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&row, j) + usize::from(x != *y)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && last == Some(*y) && b.get(j - 1) == Some(&x) {
                cost = cost.min(at(&before, j - 1).saturating_add(1));
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut row, next);
        last = Some(x);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        let known = ["bootstrap", "name", "listeners", "metadata_refresh"];
        assert_eq!(did_you_mean("bootsrap", known), ", did you mean `bootstrap`?");
        assert_eq!(did_you_mean("nmae", known), ", did you mean `name`?");
        assert_eq!(did_you_mean("Listener", known), ", did you mean `listeners`?");
        assert_eq!(did_you_mean("colour", known), "");
        assert_eq!(did_you_mean("x", ["y"]), "");
    }

    #[test]
    fn distance_counts_a_swap_as_one() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
