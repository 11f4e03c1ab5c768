//! A small deterministic sequence, so that the same seed gives the same bytes everywhere.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// A sequence of its own for each `name`: a new file does not change the others.
    pub fn new(seed: u64, name: &str) -> Self {
        // FNV-1a, 64 bits.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut dice = Self(seed ^ hash);
        dice.roll();
        dice
    }

    /// The next 64 bits.
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `sides - 1`; `sides` must not be 0.
    pub fn below(&mut self, sides: u64) -> u64 {
        // The high bits of the product: the bias is below 2⁻³² for the small ranges used here.
        ((u128::from(self.roll()) * u128::from(sides)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + self.below((high - low + 1) as u64) as i64
    }

    /// One of the choices, which must not be empty.
    pub fn pick<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// True once in `sides` rolls, on average.
    pub fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_name_give_the_same_sequence() {
        let sequence = |name| {
            let mut dice = Dice::new(7, name);
            [dice.roll(), dice.roll(), dice.roll()]
        };
        assert_eq!(sequence("a"), sequence("a"));
        assert_ne!(sequence("a"), sequence("b"));
    }

    #[test]
    fn both_ends_are_reached() {
        let mut dice = Dice::new(1, "ends");
        let rolls: Vec<i64> = (0..200).map(|_| dice.between(-1, 1)).collect();
        assert!(rolls.contains(&-1) && rolls.contains(&1));
        assert!(rolls.iter().all(|roll| (-1..=1).contains(roll)));
    }
}
