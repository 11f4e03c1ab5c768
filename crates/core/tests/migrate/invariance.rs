//! What a load makes of its sources depends on them and the plan alone.

use proptest::prelude::*;

use crate::legacy;
use crate::world::same;

#[test]
fn the_first_of_many_duplicates_wins_whatever_the_workers() {
    for workers in 1..5 {
        let mut world = legacy::empty();
        for file in 0..30 {
            let line = format!("{file},same@x,{file},real,~");
            world = world.file("people", &format!("people/{file:02}.csv"), &line);
        }
        world.process().workers(workers).run();
        let rows = world.target.rows("people");
        assert_eq!(rows.len(), 1, "with {workers} workers");
        assert_eq!(format!("{:?}", rows[0][2]), "Int(0)", "with {workers} workers");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn batches_and_workers_change_nothing(
        files in legacy::files(),
        rows in 1..30u64,
        workers in 1..5u32,
    ) {
        let one = legacy::world(&files);
        one.process().batch_size(1_000).workers(1).run();
        let other = one.afresh();
        other.process().batch_size(rows).workers(workers).run();
        same(&one, &other).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn how_much_is_read_at_once_changes_nothing(
        files in legacy::files(),
        records in 1..8usize,
    ) {
        let one = legacy::world(&files).sips(1_000);
        one.migrate_to_the_end();
        let other = one.afresh().sips(records);
        other.migrate_to_the_end();
        same(&one, &other).map_err(TestCaseError::fail)?;
    }
}
