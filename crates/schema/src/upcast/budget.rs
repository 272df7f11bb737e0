//! What bringing one event to the latest version may cost, charged before it is spent.

use std::cell::Cell;

use bumpalo::{AllocErr, Bump};

use crate::limits::{MAX_UPCAST_BYTES, MAX_UPCAST_WORK};
use crate::mapping::mismatch::Mismatch;

/// Work units. An operation that costs nothing here could be repeated without end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Costs {
    /// A node of a rule that is evaluated.
    pub(crate) node: u64,
    /// An item of a list, an entry of a map or a field of a record that is visited or made.
    pub(crate) item: u64,
    /// Sixteen bytes of text or bytes that are read or copied.
    pub(crate) block: u64,
    /// An operation on a decimal, which has 128 bits.
    pub(crate) decimal: u64,
}

/// The only table of costs. The benchmark `upcast` shows what the limit takes in time.
pub(crate) const COSTS: Costs = Costs { node: 1, item: 1, block: 1, decimal: 2 };

/// What is left for one event, and the arena for its values.
pub(crate) struct Budget<'a> {
    arena: &'a Bump,
    costs: Costs,
    work: Cell<u64>,
    /// Operations, whatever they cost.
    #[cfg(test)]
    done: Cell<u64>,
}

impl<'a> Budget<'a> {
    /// Limits what the arena may allocate.
    pub(crate) fn new(arena: &'a Bump) -> Self {
        arena.set_allocation_limit(Some(MAX_UPCAST_BYTES));
        Self {
            arena,
            costs: COSTS,
            work: Cell::new(MAX_UPCAST_WORK),
            #[cfg(test)]
            done: Cell::new(0),
        }
    }

    #[cfg(test)]
    pub(crate) fn with_costs(arena: &'a Bump, costs: Costs) -> Self {
        Self { costs, ..Self::new(arena) }
    }

    pub(crate) fn node(&self) -> Result<(), Mismatch> {
        self.charge(self.costs.node, 1)
    }

    pub(crate) fn decimal(&self) -> Result<(), Mismatch> {
        self.charge(self.costs.decimal, 1)
    }

    pub(crate) fn items(&self, count: usize) -> Result<(), Mismatch> {
        self.charge(self.costs.item, count as u64)
    }

    pub(crate) fn bytes(&self, count: usize) -> Result<(), Mismatch> {
        self.charge(self.costs.block, 1 + count as u64 / 16)
    }

    fn charge(&self, cost: u64, count: u64) -> Result<(), Mismatch> {
        #[cfg(test)]
        self.done.set(self.done.get() + count);
        let left = self.work.get().checked_sub(cost.saturating_mul(count)).ok_or_else(too_much_work)?;
        self.work.set(left);
        Ok(())
    }

    /// Units of work that were spent, and operations that were done for them.
    #[cfg(test)]
    pub(crate) fn spent_and_done(&self) -> (u64, u64) {
        (MAX_UPCAST_WORK - self.work.get(), self.done.get())
    }

    pub(crate) fn many<T: Copy>(&self, count: usize, fill: T) -> Result<&'a mut [T], Mismatch> {
        self.items(count)?;
        self.arena.try_alloc_slice_fill_copy(count, fill).map_err(too_much_memory)
    }

    pub(crate) fn text(&self, text: &str) -> Result<&'a str, Mismatch> {
        self.bytes(text.len())?;
        self.arena.try_alloc_str(text).map(|text| &*text).map_err(too_much_memory)
    }

    pub(crate) fn concat_texts(&self, one: &str, other: &str) -> Result<&'a str, Mismatch> {
        let bytes = self.concat(one.as_bytes(), other.as_bytes())?;
        std::str::from_utf8(bytes).map_err(|error| Mismatch::new(error.to_string()))
    }

    pub(crate) fn concat(&self, one: &[u8], other: &[u8]) -> Result<&'a [u8], Mismatch> {
        let length = one.len() + other.len();
        self.bytes(length)?;
        let whole = self.arena.try_alloc_slice_fill_copy(length, 0_u8).map_err(too_much_memory)?;
        let (first, second) = whole.split_at_mut(one.len());
        first.copy_from_slice(one);
        second.copy_from_slice(other);
        Ok(whole)
    }

    pub(crate) fn join<T: Copy>(&self, one: &[T], other: &[T], fill: T) -> Result<&'a [T], Mismatch> {
        let whole = self.many(one.len() + other.len(), fill)?;
        let (first, second) = whole.split_at_mut(one.len());
        first.copy_from_slice(one);
        second.copy_from_slice(other);
        Ok(whole)
    }
}

fn too_much_work() -> Mismatch {
    Mismatch::new(format!("upcasting takes more than {MAX_UPCAST_WORK} units of work"))
}

fn too_much_memory(_: AllocErr) -> Mismatch {
    Mismatch::new(format!("upcasting takes more than {} MiB of memory", MAX_UPCAST_BYTES >> 20))
}
