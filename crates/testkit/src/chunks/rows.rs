//! Rows of all seven tables, and what is sound among them.

use crate::Dice;
use crate::calendar::utc;
use crate::dump::Cell;

/// A second in microseconds.
pub(super) const SECOND: i64 = 1_000_000;

/// A row's cells, in the order of its table's columns.
pub(super) type Row = Vec<Cell>;

/// A chunk, as it is unless somebody changes it.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) content: String,
    pub(super) is_template: Cell,
    pub(super) is_slot: Cell,
    pub(super) parent: Cell,
    pub(super) template: Cell,
    pub(super) slot_value: Cell,
    pub(super) indent_level: Cell,
    pub(super) sequence_number: Cell,
    pub(super) metadata: Cell,
    pub(super) created_at: Cell,
    pub(super) updated_at: Cell,
}

/// The rows of all tables.
pub(super) struct Rows {
    pub(super) dice: Dice,
    pub(super) texts: Vec<Row>,
    pub(super) chunks: Vec<Chunk>,
    tags: Vec<Row>,
    slots: Vec<Row>,
    embeddings: Vec<Row>,
    nodes: Vec<Row>,
    edges: Vec<Row>,
}

const WORDS: [&str; 20] = [
    "文字",
    "處理",
    "語意",
    "標籤",
    "向量",
    "圖譜",
    "段落",
    "大綱",
    "筆記",
    "模板",
    "note",
    "draft",
    "outline",
    "chunk",
    "café",
    "Größe",
    "naïve",
    "review",
    "list",
    "“quoted”",
];

impl Rows {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, "chunks"),
            texts: Vec::new(),
            chunks: Vec::new(),
            tags: Vec::new(),
            slots: Vec::new(),
            embeddings: Vec::new(),
            nodes: Vec::new(),
            edges: Vec::new(),
        }
    }

    /// A random UUID of version 4.
    pub(super) fn id(&mut self) -> String {
        let (high, low) = (self.dice.roll(), self.dice.roll());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0x3fff | 0x8000,
            low & 0xffff_ffff_ffff
        )
    }

    /// Some microsecond of 2023.
    pub(super) fn time(&mut self) -> i64 {
        let day = self.dice.between(0, 364);
        utc(2023, 1, 1, 0, 0, 0) * 1000
            + day * 86_400 * SECOND
            + self.dice.between(0, 86_399_999_999)
    }

    pub(super) fn words(&mut self, count: i64) -> String {
        let words: Vec<&str> = (0..count).map(|_| self.dice.pick(&WORDS)).collect();
        words.join(" ")
    }

    /// A text; returns its id.
    pub(super) fn text(&mut self, title: Cell, content: &str, status: Cell) -> String {
        let id = self.id();
        let at = self.time();
        self.texts.push(vec![
            Cell::text(&id),
            Cell::text(content),
            title,
            status,
            Cell::Instant(at),
            Cell::Instant(at + 90 * SECOND),
        ]);
        id
    }

    /// A chunk of a text that is in nobody's way.
    pub(super) fn chunk(&mut self, text: &str, parent: Option<&str>) -> Chunk {
        let at = self.time();
        let length = self.dice.between(1, 9);
        Chunk {
            id: self.id(),
            text: text.to_owned(),
            content: self.words(length),
            is_template: Cell::Bool(false),
            is_slot: Cell::Bool(false),
            parent: parent.map_or(Cell::Null, Cell::text),
            template: Cell::Null,
            slot_value: Cell::Null,
            indent_level: Cell::Int(self.dice.between(0, 4)),
            sequence_number: Cell::Int(self.dice.between(1, 40)),
            metadata: Cell::text("{}"),
            created_at: Cell::Instant(at),
            updated_at: Cell::Instant(at + self.dice.between(0, 86_400) * SECOND),
        }
    }

    /// Adds it and returns its id.
    pub(super) fn add(&mut self, chunk: Chunk) -> String {
        let id = chunk.id.clone();
        self.chunks.push(chunk);
        id
    }

    pub(super) fn tag(&mut self, chunk: &str, tag: &str) {
        let (id, at) = (self.id(), self.time());
        self.tags.push(vec![Cell::text(id), Cell::text(chunk), Cell::text(tag), Cell::Instant(at)]);
    }

    pub(super) fn slot(&mut self, template: &str, slot: &str, order: Cell, at: i64) {
        let id = self.id();
        self.slots.push(vec![
            Cell::text(id),
            Cell::text(template),
            Cell::text(slot),
            order,
            Cell::Instant(at),
        ]);
    }

    /// An embedding of eight numbers, or none.
    pub(super) fn embedding(&mut self, chunk: &str, vector: bool, at: Cell) {
        let numbers: Vec<String> = (0..8)
            .map(|_| {
                let number = self.dice.between(-9_999, 9_999);
                let sign = if number < 0 { "-" } else { "" };
                format!("{sign}0.{:05}", number.abs() * 10 + 1)
            })
            .collect();
        let vector =
            if vector { Cell::Text(format!("{{{}}}", numbers.join(","))) } else { Cell::Null };
        let id = self.id();
        self.embeddings.push(vec![Cell::text(id), Cell::text(chunk), vector, at]);
    }

    pub(super) fn node(&mut self, chunk: &str, name: &str, properties: Cell) -> String {
        let (id, at) = (self.id(), self.time());
        let kind = self.dice.pick(&["PERSON", "CONCEPT", "組織"]);
        self.nodes.push(vec![
            Cell::text(&id),
            Cell::text(chunk),
            Cell::text(name),
            Cell::text(kind),
            properties,
            Cell::Instant(at),
        ]);
        id
    }

    pub(super) fn edge(&mut self, from: &str, to: &str, properties: Cell) {
        let (id, at) = (self.id(), self.time());
        let kind = self.dice.pick(&["MENTIONS", "PART_OF", "相關"]);
        self.edges.push(vec![
            Cell::text(id),
            Cell::text(from),
            Cell::text(to),
            Cell::text(kind),
            properties,
            Cell::Instant(at),
        ]);
    }

    /// Texts whose chunks form trees, with tags, embeddings and nodes.
    pub(super) fn add_sound_texts(&mut self) {
        let home = self.text(Cell::text("Tags"), "tags", Cell::text("completed"));
        let tags: Vec<String> = ["#urgent", "重要", "#待辦", "reading list"]
            .iter()
            .map(|content| {
                let mut chunk = self.chunk(&home, None);
                (*content).clone_into(&mut chunk.content);
                self.add(chunk)
            })
            .collect();
        let mut nodes = Vec::new();
        for number in 1..=10 {
            let content = self.words(12);
            let text =
                self.text(Cell::Text(format!("文件 {number}")), &content, Cell::text("completed"));
            let chunks = self.tree(&text, 9);
            for chunk in &chunks {
                for tag in &tags {
                    if self.dice.one_in(6) {
                        self.tag(chunk, tag);
                    }
                }
                if !self.dice.one_in(4) {
                    let at = self.time();
                    self.embedding(chunk, true, Cell::Instant(at));
                }
                for _ in 0..self.dice.below(3) {
                    let name = self.words(2);
                    let properties = Cell::text(r#"{"weight": 0.5, "語言": "中文"}"#);
                    nodes.push(self.node(chunk, &name, properties));
                }
            }
        }
        for pair in nodes.windows(2) {
            if self.dice.one_in(2) {
                self.edge(&pair[0], &pair[1], Cell::text("{}"));
            }
        }
    }

    /// The chunks of a text: each below an earlier one, but written down in another order, and
    /// with times that say nothing about it.
    fn tree(&mut self, text: &str, count: i64) -> Vec<String> {
        let mut chunks: Vec<Chunk> = Vec::new();
        for _ in 0..count {
            let parent = match self.dice.below(chunks.len() as u64 + 1) as usize {
                0 => None,
                place => Some(chunks[place - 1].id.clone()),
            };
            let chunk = self.chunk(text, parent.as_deref());
            chunks.push(chunk);
        }
        let ids = chunks.iter().map(|chunk| chunk.id.clone()).collect();
        chunks.sort_by(|a, b| a.id.cmp(&b.id));
        self.chunks.extend(chunks);
        ids
    }

    /// What a large database has more of: texts of fifty chunks, each with a tag and an embedding.
    pub(super) fn add_clean(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            let number = left.min(50);
            left -= number;
            let content = self.words(40);
            let text = self.text(Cell::text("clean"), &content, Cell::text("completed"));
            let chunks = self.tree(&text, number as i64);
            for chunk in &chunks {
                if *chunk != chunks[0] {
                    self.tag(chunk, &chunks[0]);
                }
                let at = self.time();
                self.embedding(chunk, true, Cell::Instant(at));
            }
        }
    }

    /// The tables with their columns and rows.
    pub(super) fn tables(self) -> [(&'static str, &'static [&'static str], Vec<Row>); 7] {
        [
            (
                "content_db.texts",
                &["id", "content", "title", "status", "created_at", "updated_at"],
                self.texts,
            ),
            (
                "content_db.chunks",
                &[
                    "id",
                    "text_id",
                    "content",
                    "is_template",
                    "is_slot",
                    "parent_chunk_id",
                    "template_chunk_id",
                    "slot_value",
                    "indent_level",
                    "sequence_number",
                    "metadata",
                    "created_at",
                    "updated_at",
                ],
                self.chunks.into_iter().map(Chunk::into_row).collect(),
            ),
            ("content_db.chunk_tags", &["id", "chunk_id", "tag_chunk_id", "created_at"], self.tags),
            (
                "content_db.template_slots",
                &["id", "template_chunk_id", "slot_chunk_id", "slot_order", "created_at"],
                self.slots,
            ),
            ("vector_db.embeddings", &["id", "chunk_id", "vector", "created_at"], self.embeddings),
            (
                "graph_db.graph_nodes",
                &["id", "chunk_id", "entity_name", "entity_type", "properties", "created_at"],
                self.nodes,
            ),
            (
                "graph_db.graph_edges",
                &[
                    "id",
                    "source_node_id",
                    "target_node_id",
                    "relationship_type",
                    "properties",
                    "created_at",
                ],
                self.edges,
            ),
        ]
    }
}

impl Chunk {
    fn into_row(self) -> Row {
        vec![
            Cell::Text(self.id),
            Cell::Text(self.text),
            Cell::Text(self.content),
            self.is_template,
            self.is_slot,
            self.parent,
            self.template,
            self.slot_value,
            self.indent_level,
            self.sequence_number,
            self.metadata,
            self.created_at,
            self.updated_at,
        ]
    }
}
