//! Keys of operations, and operations that fall together.

use std::collections::HashMap;

use super::Operation;
use crate::fault::{Fault, Faults};
use crate::located::shorten;

pub(super) fn assign(operations: &mut [Operation], faults: &mut Faults) {
    name(operations, faults);
    share(operations, faults);
}

/// A repeated operationId names none of its operations: which of them it meant cannot be known.
fn name(operations: &mut [Operation], faults: &mut Faults) {
    let mut first: HashMap<String, (usize, usize)> = HashMap::new();
    for (index, operation) in operations.iter().enumerate() {
        if let Some(id) = &operation.operation_id {
            first.entry(id.clone()).or_insert((index, 0)).1 += 1;
        }
    }
    let places: Vec<String> = operations.iter().map(|operation| operation.pointer.clone()).collect();
    for (index, operation) in operations.iter_mut().enumerate() {
        let own = format!("{} {}", operation.method, operation.path_key);
        let seen = operation
            .operation_id
            .as_ref()
            .and_then(|id| Some((id, first.get(id)?)));
        operation.key = match seen {
            Some((id, _)) if id.contains(' ') && id.contains('/') => {
                let reason = format!("the operationId {:?} looks like a method with a path", shorten(id));
                faults.push(Fault::warning(
                    &operation.pointer,
                    reason,
                    format!("its key is {own:?}; choose a plain word"),
                ));
                own
            }
            Some((id, (_, 1))) => id.clone(),
            Some((id, (earliest, _))) => {
                if *earliest != index {
                    let other = places.get(*earliest).map_or("", String::as_str);
                    let reason = format!("the operationId {:?} stands already at {other}", shorten(id));
                    let place = format!("{}/operationId", operation.pointer);
                    faults.push(Fault::warning(
                        place,
                        reason,
                        format!("choose another; the key of this one is {own:?}"),
                    ));
                }
                own
            }
            None => own,
        };
    }
}

fn share(operations: &mut [Operation], faults: &mut Faults) {
    let mut routes: HashMap<(String, String), (String, String)> = HashMap::new();
    for operation in operations {
        let route = (operation.method.clone(), operation.template.shape());
        let Some((key, path)) = routes.get(&route) else {
            routes.insert(route, (operation.key.clone(), operation.path_key.clone()));
            continue;
        };
        let reason = format!(
            "{} {} is the same route as {}; requests count for {key:?}",
            operation.method,
            shorten(&operation.path_key),
            shorten(path),
        );
        faults.push(Fault::warning(
            &operation.pointer,
            reason,
            "give it a path of its own, or describe both as one",
        ));
        operation.shares_route_of = Some(key.clone());
    }
}
