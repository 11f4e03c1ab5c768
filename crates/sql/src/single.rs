//! Single floats. Between a single and a double the spelling is kept, not the bits: `0.1` stays
//! `0.1`, whichever engine it comes from or goes to, and comes back from there as it went in.

/// The double whose shortest spelling is that of the single float.
pub(crate) fn widened(single: f32) -> f64 {
    if !single.is_finite() || single.fract() == 0.0 {
        return single.into();
    }
    format!("{single:e}").parse().expect("a float's spelling is a float's spelling")
}

/// The single float that is spelled like the double; `None` where none is.
pub(crate) fn narrowed(double: f64) -> Option<f32> {
    #[allow(clippy::cast_possible_truncation)] // whether it loses anything is compared
    let single = double as f32;
    (double.is_nan() || widened(single).to_bits() == double.to_bits()).then_some(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spelled_alike_is_the_same() {
        assert_eq!(widened(0.1).to_bits(), 0.1_f64.to_bits());
        assert_eq!(narrowed(0.1), Some(0.1));
        assert_eq!(narrowed(f64::from(0.1_f32)), None);
        assert_eq!(narrowed(1.0 / 3.0), None);
        assert_eq!(narrowed(1e300), None);
    }
}
