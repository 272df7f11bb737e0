//! Which order a returned line came from.

use std::collections::{BTreeMap, HashMap};

use super::{Order, Return};

/// Links each returned line to the customer's latest earlier order that holds at least that quantity of the
/// product, sums up what goes back to the shelves, and notes which order a return undoes wholly.
pub(super) fn link(returns: &mut [Return], orders: &mut [Order]) {
    let mut of_customer: HashMap<Box<str>, Vec<usize>> = HashMap::new();
    for (index, order) in orders.iter().enumerate() {
        if let Some(customer) = &order.customer {
            of_customer.entry(customer.clone()).or_default().push(index);
        }
    }
    for returned in returns {
        let earlier = returned.customer.as_ref().and_then(|customer| of_customer.get(customer));
        let earlier: Vec<usize> = earlier
            .into_iter()
            .flatten()
            .copied()
            .filter(|order| orders[*order].first_line < returned.first_line)
            .collect();
        // By order, what came back of it; `None` holds what is linked to no order.
        let mut came_back: BTreeMap<Option<usize>, BTreeMap<Box<str>, i64>> = BTreeMap::new();
        for (item, link) in &mut returned.lines {
            let holds = |order: &&usize| orders[**order].wanted.get(&item.product) >= Some(&item.quantity);
            let order = earlier.iter().rev().find(holds).copied();
            *link = order.map(|order| orders[order].id.clone());
            *came_back.entry(order).or_default().entry(item.product.clone()).or_insert(0) += item.quantity;
            *returned.goods.entry(item.product.clone()).or_insert(0) += item.quantity;
        }
        let mut came_back = came_back.into_iter();
        if let (Some((Some(order), quantities)), None) = (came_back.next(), came_back.next())
            && quantities == orders[order].wanted
        {
            returned.undoes = Some(orders[order].id.clone());
            orders[order].undone_by.push(returned.id.clone());
        }
    }
}
