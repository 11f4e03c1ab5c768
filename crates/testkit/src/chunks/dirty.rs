//! Everything that such a database is known to hold.

use super::rows::{Chunk, Rows, SECOND};
use crate::dump::Cell;

/// Adds it all.
pub(super) fn add_all(rows: &mut Rows) {
    add_texts(rows);
    let content = rows.words(5);
    let text = rows.text(Cell::text("Ungeordnet"), &content, Cell::text("completed"));
    let sound = {
        let chunk = rows.chunk(&text, None);
        rows.add(chunk)
    };
    add_trees(rows, &text, &sound);
    add_missing_values(rows, &text);
    add_metadata(rows, &text);
    add_templates(rows, &text);
    add_tags(rows, &text, &sound);
    add_embeddings(rows, &text);
    add_graph(rows, &text, &sound);
}

fn add(rows: &mut Rows, text: &str, parent: Option<&str>, edit: impl FnOnce(&mut Chunk)) -> String {
    let mut chunk = rows.chunk(text, parent);
    edit(&mut chunk);
    rows.add(chunk)
}

/// Texts without chunks, without a title, without anything.
fn add_texts(rows: &mut Rows) {
    let processing = || Cell::text("processing");
    rows.text(Cell::text("卡住了"), "還在處理中", processing());
    rows.text(Cell::Null, "\n  \t\n  第一行 is the title\r\nthe second is not\n", processing());
    rows.text(Cell::text("   "), "only a line", Cell::text("failed"));
    rows.text(Cell::Null, "", Cell::Null);
    rows.text(Cell::text(" \t "), " \n\t ", processing());
    rows.text(Cell::text("  a title between blanks "), "a\\b\tc", processing());
    // 255 characters, three bytes each; and times that nobody has set.
    rows.text(Cell::Text("題".repeat(255)), "長", processing());
    let last = rows.texts.last_mut().expect("one was added just now");
    last[4] = Cell::Null;
    last[5] = Cell::Null;
}

/// What is no tree: nobody, oneself or each other as parents; and a tree that is a chain.
fn add_trees(rows: &mut Rows, text: &str, sound: &str) {
    for content in ["", "   ", " \t\r\n "] {
        let blank = add(rows, text, Some(sound), |chunk| content.clone_into(&mut chunk.content));
        let below = add(rows, text, Some(&blank), |_| {});
        add(rows, text, Some(&below), |_| {});
    }
    let [first, second] = [rows.id(), rows.id()];
    for (id, parent) in [(&first, &second), (&second, &first)] {
        add(rows, text, Some(parent), |chunk| chunk.id.clone_from(id));
    }
    let below = add(rows, text, Some(&second), |_| {});
    add(rows, text, Some(&below), |_| {});
    let own = rows.id();
    add(rows, text, Some(&own), |chunk| chunk.id.clone_from(&own));
    let nobody = rows.id();
    let orphan = add(rows, text, Some(&nobody), |_| {});
    add(rows, text, Some(&orphan), |_| {});
    let no_text = rows.id();
    let lost = add(rows, &no_text, None, |_| {});
    add(rows, text, Some(&lost), |_| {});

    // The deepest was made first, all at the same microsecond.
    let at = rows.time();
    let mut chain = vec![rows.chunk(text, Some(sound))];
    for _ in 1..30 {
        let parent = chain.last().map(|chunk| chunk.id.clone());
        let chunk = rows.chunk(text, parent.as_deref());
        chain.push(chunk);
    }
    for mut chunk in chain.into_iter().rev() {
        chunk.created_at = Cell::Instant(at);
        chunk.updated_at = Cell::Instant(at);
        rows.add(chunk);
    }
}

fn add_missing_values(rows: &mut Rows, text: &str) {
    add(rows, text, None, |chunk| {
        chunk.is_template = Cell::Null;
        chunk.is_slot = Cell::Null;
        chunk.indent_level = Cell::Null;
        chunk.sequence_number = Cell::Null;
        chunk.metadata = Cell::Null;
        chunk.created_at = Cell::Null;
        chunk.updated_at = Cell::Null;
    });
    add(rows, text, None, |chunk| chunk.updated_at = Cell::Null);
    // Changed before it was made.
    let at = rows.time();
    add(rows, text, None, |chunk| {
        chunk.created_at = Cell::Instant(at);
        chunk.updated_at = Cell::Instant(at - 86_400 * SECOND);
    });
    // A heading is no tag; blanks at the ends are somebody's.
    add(rows, text, None, |chunk| "# 標題".clone_into(&mut chunk.content));
    add(rows, text, None, |chunk| {
        "  indented\n\twith 'quotes' and \\ \n".clone_into(&mut chunk.content);
    });
}

fn add_metadata(rows: &mut Rows, text: &str) {
    let upper = rows.id().to_uppercase();
    let some = [
        "null".to_owned(),
        "[1, {\"a\": null}]".to_owned(),
        "\"text\"".to_owned(),
        "12345678901234567890.5".to_owned(),
        "true".to_owned(),
        // Keys that the move makes itself.
        r#"{"legacy": {"mine": null}, "slot_value": "mine", "original_text_id": 3, "表": "值"}"#
            .to_owned(),
        r#"{"b": 1, "aa": [], "a": {"z": 1, "y": "\" \\ \n"}}"#.to_owned(),
        format!(r#"{{"tags": ["{upper}"]}}"#),
    ];
    for metadata in some {
        add(rows, text, None, |chunk| chunk.metadata = Cell::Text(metadata));
    }
}

fn add_templates(rows: &mut Rows, text: &str) {
    let template = add(rows, text, None, |chunk| {
        "{{姓名}} – {{date}}".clone_into(&mut chunk.content);
        chunk.is_template = Cell::Bool(true);
    });
    let slots: Vec<String> = ["#姓名", "#date", "#date"]
        .iter()
        .map(|content| {
            add(rows, text, Some(&template), |chunk| {
                (*content).clone_into(&mut chunk.content);
                chunk.is_slot = Cell::Bool(true);
            })
        })
        .collect();
    // Two in the same place, one of them made earlier; one without a place; one said twice.
    let at = rows.time();
    rows.slot(&template, &slots[0], Cell::Int(1), at);
    rows.slot(&template, &slots[1], Cell::Int(0), at + SECOND);
    rows.slot(&template, &slots[2], Cell::Int(0), at);
    rows.slot(&template, &slots[2], Cell::Null, at);
    rows.slot(&template, &slots[0], Cell::Int(1), at + 2 * SECOND);
    let nobody = rows.id();
    rows.slot(&nobody, &slots[0], Cell::Int(7), at);
    for value in ["王小明", "", "2023-12-24"] {
        add(rows, text, None, |chunk| {
            chunk.template = Cell::text(&template);
            chunk.slot_value = Cell::text(value);
        });
    }
    // Its template was deleted: the value is left.
    add(rows, text, None, |chunk| chunk.slot_value = Cell::text("left over"));
    // A template without slots, and one that is refused itself.
    add(rows, text, None, |chunk| chunk.is_template = Cell::Bool(true));
    let blank = add(rows, text, None, |chunk| {
        chunk.content.clear();
        chunk.is_template = Cell::Bool(true);
    });
    add(rows, text, None, |chunk| chunk.template = Cell::text(&blank));
}

fn add_tags(rows: &mut Rows, text: &str, sound: &str) {
    // A tag that does not look like one, of more than fifty bytes.
    let long = add(rows, text, None, |chunk| {
        "需要在下一次會議之前完成並且寄給所有的參與者".clone_into(&mut chunk.content);
    });
    // It looks like one, and nobody uses it; only it itself does; only a refused one does.
    add(rows, text, None, |chunk| "#unused".clone_into(&mut chunk.content));
    let own = add(rows, text, None, |chunk| "#self".clone_into(&mut chunk.content));
    let by_blank = add(rows, text, None, |chunk| "#of a blank".clone_into(&mut chunk.content));
    let blank = add(rows, text, None, |chunk| chunk.content.clear());
    rows.tag(sound, &long);
    rows.tag(&long, sound);
    rows.tag(&own, &own);
    rows.tag(&own, &long);
    rows.tag(&blank, &by_blank);
    rows.tag(sound, &blank);
    let (nobody, nothing) = (rows.id(), rows.id());
    rows.tag(&nobody, &long);
    rows.tag(sound, &nothing);
}

fn add_embeddings(rows: &mut Rows, text: &str) {
    let mut chunk = || add(rows, text, None, |_| {});
    let [several, same_time, newest_empty, only_empty, timeless, blank] =
        [chunk(), chunk(), chunk(), chunk(), chunk(), chunk()];
    rows.chunks.last_mut().expect("six were added just now").content.clear();
    let at = rows.time();
    for later in [2, 0, 1] {
        rows.embedding(&several, true, Cell::Instant(at + later * SECOND));
    }
    for _ in 0..2 {
        rows.embedding(&same_time, true, Cell::Instant(at));
    }
    rows.embedding(&newest_empty, true, Cell::Instant(at));
    rows.embedding(&newest_empty, false, Cell::Instant(at + SECOND));
    rows.embedding(&only_empty, false, Cell::Instant(at));
    rows.embedding(&timeless, true, Cell::Null);
    rows.embedding(&timeless, true, Cell::Instant(at));
    rows.embedding(&blank, true, Cell::Instant(at));
    let nobody = rows.id();
    rows.embedding(&nobody, true, Cell::Instant(at));
}

fn add_graph(rows: &mut Rows, text: &str, sound: &str) {
    let blank = add(rows, text, None, |chunk| chunk.content.clear());
    let one = rows.node(sound, "王小明", Cell::Null);
    let two = rows.node(sound, "王小明", Cell::text("null"));
    let refused = rows.node(&blank, "nobody", Cell::text("{}"));
    let (no_chunk, no_node) = (rows.id(), rows.id());
    rows.node(&no_chunk, "lost", Cell::text("[]"));
    rows.edge(&one, &two, Cell::Null);
    rows.edge(&two, &two, Cell::text("{\"self\": true}"));
    rows.edge(&one, &refused, Cell::text("{}"));
    rows.edge(&no_node, &one, Cell::text("{}"));
}
