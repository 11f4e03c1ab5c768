//! Rows as a load leaves them: of several with one key the last.

use async_trait::async_trait;
use whimbrel_endpoint::{EndpointError, Feed};
use whimbrel_model::{Chunk, ChunkBuilder, Row, Value, ValueRef};

use crate::order;
use crate::sorter::Sorted;

/// Of sorted rows with one key the last that came.
pub(crate) struct Latest {
    sorted: Sorted,
    key: Vec<usize>,
    width: usize,
    is_keyed: bool,
    held: Option<Vec<Value>>,
    ended: bool,
}

impl Latest {
    pub(crate) fn new(sorted: Sorted, width: usize, key: &[usize], is_keyed: bool) -> Self {
        Self { sorted, key: key.to_vec(), width, is_keyed, held: None, ended: false }
    }

    fn push(row: &[Value], out: &mut ChunkBuilder) {
        row.iter().for_each(|value| out.push(value.as_ref()));
        out.end_row();
    }

    fn is_same(&self, held: &[Value], row: Row<'_>) -> bool {
        self.is_keyed
            && self
                .key
                .iter()
                .all(|&column| order::compare(held[column].as_ref(), row.get(column)).is_eq())
    }
}

#[async_trait]
impl Feed for Latest {
    async fn next(&mut self) -> Result<Option<Chunk>, EndpointError> {
        if self.ended {
            return Ok(None);
        }
        let mut out = ChunkBuilder::new(self.width + 1);
        while out.is_empty() {
            let Some(chunk) = self.sorted.next().await? else {
                self.ended = true;
                if let Some(held) = self.held.take() {
                    Self::push(&held, &mut out);
                }
                break;
            };
            for row in chunk.rows() {
                if let Some(held) = self.held.take()
                    && !self.is_same(&held, row)
                {
                    Self::push(&held, &mut out);
                }
                self.held = Some(row.values().map(ValueRef::to_owned).collect());
            }
        }
        Ok((!out.is_empty()).then(|| out.finish()))
    }
}
