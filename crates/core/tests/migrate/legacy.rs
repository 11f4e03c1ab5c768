//! A legacy system with a bit of everything: parents and children, duplicates, a rule, a filter, an
//! archive, values that do not fit, and rows that stand for whole files.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::world::World;

pub(crate) const PLAN: &str = r#"
[source.people]
csv = "people/*.csv"
archive = ["note"]
[source.orders]
csv = "orders/*.csv"

[[table]]
into = "people"
from = "people"
key  = ["id"]
where = "kind != 'test'"
legacy_key = ["id"]
duplicates = { by = ["mail"] }
[table.columns]
id   = { uuid5 = ["id"] }
mail = { from = "mail", lower = true }
age  = { from = "age", type = "integer", invalid = "null" }
[[table.rule]]
name = "a mail has an @"
cel  = "new.mail.contains('@')"

[[table]]
into = "orders"
from = "orders"
key  = ["id"]
[table.columns]
id     = { from = "id", type = "integer" }
person = { ref = "people", by = "person" }
amount = { from = "amount", type = "decimal(6,2)" }

[[table]]
into = "files"
from = "orders"
each = "file"
key  = ["path"]
[table.columns]
path   = { fact = "file.path" }
orders = { count = true }
last   = { last = "amount" }
"#;

/// The files of a system: for each source its files, for each file its records.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    people: Vec<Vec<String>>,
    orders: Vec<Vec<String>>,
}

/// A system without people, and with an order of nobody.
pub(crate) fn empty() -> World {
    let columns = [("people", "id,mail,age,kind,note"), ("orders", "id,person,amount")];
    World::new(PLAN, &columns).file("orders", "orders/0.csv", "1,nobody,1")
}

/// A system with these files and an empty target.
pub(crate) fn world(files: &Files) -> World {
    let mut world = empty();
    for (source, all) in [("people", &files.people), ("orders", &files.orders)] {
        for (number, lines) in all.iter().enumerate() {
            world = world.file(source, &format!("{source}/{number}.csv"), &lines.join("\n"));
        }
    }
    world
}

/// A small system in which everything happens at least once.
pub(crate) fn small() -> World {
    let lines = |text: &str| text.lines().map(str::to_owned).collect();
    world(&Files {
        people: vec![
            lines("1,ada@x,36,real,first\n2,no mail,7,real,~\n3,bob@x,old,real,~"),
            lines("4,ADA@x,~,real,second\n!torn\n5,eve@x,50,test,~\n6,kim@x,44,real,~"),
        ],
        orders: vec![
            lines("1,1,1.50\n2,4,20\n3,2,9.99\n4,3,1e9\n5,9,2"),
            lines("6,6,3\n1,1,7\n1,1,1.50\n!torn"),
        ],
    })
}

/// Any small system.
pub(crate) fn files() -> impl Strategy<Value = Files> {
    let any_of = |words: &'static str| select(words.split(' ').collect::<Vec<_>>());
    let torn = || Just("!torn".to_owned());
    let person = (
        any_of("0 1 2 3 4 5 6"),
        any_of("a@x A@x b@x c@x d@x none ~"),
        any_of("7 70 07 ~"),
        any_of("real real real test"),
        any_of("~ note"),
    );
    let person =
        person.prop_map(|(id, mail, age, kind, note)| [id, mail, age, kind, note].join(","));
    let order = (any_of("1 2 3 4 5 6 x"), any_of("0 1 2 3 4 5 6 7"), any_of("1 2.5 0.001 ~"));
    let order = order.prop_map(|(id, person, amount)| [id, person, amount].join(","));
    let people = prop_oneof![8 => person, 1 => torn()];
    let orders = prop_oneof![8 => order, 1 => torn()];
    (vec(vec(people, 0..7), 1..4), vec(vec(orders, 0..7), 1..4))
        .prop_map(|(people, orders)| Files { people, orders })
}
