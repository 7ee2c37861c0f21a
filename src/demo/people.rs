//! Logins for each kind of person who uses the platform. Passwords are made at each start and printed; none is in the
//! program.

use portal::{LoginWish, ensure_login};
use store::{AccountRole, StaffRole};

use crate::serve::{Login, Running};

/// Makes the logins beside the administrator's.
///
/// # Errors
/// Why the store or the hashing failed, for people.
pub(super) async fn make(running: &Running, organisation: Option<&str>) -> Result<Vec<Login>, String> {
    let member = organisation
        .and_then(|id| id.parse().ok())
        .map(|id| (id, AccountRole::Owner));
    let wishes = [
        ("developer", "dana@acme.example", "Dana Reyes", None, member),
        (
            "product manager",
            "priya@worldtime.example",
            "Priya Natarajan",
            Some(StaffRole::ProductManager),
            None,
        ),
        (
            "finance",
            "felix@worldtime.example",
            "Felix Brandt",
            Some(StaffRole::Finance),
            None,
        ),
    ];
    let (store, clock) = running.base().ok_or_else(|| "this process has no store".to_owned())?;
    let mut logins = Vec::new();
    for (role, email, name, staff, membership) in wishes {
        let wish = LoginWish {
            email: email.to_owned(),
            name: name.to_owned(),
            staff_roles: staff.into_iter().collect(),
            membership,
        };
        let password = ensure_login(&store, &clock, wish)
            .await
            .map_err(|error| error.to_string())?;
        logins.push(Login {
            role: role.to_owned(),
            email: email.to_owned(),
            password,
        });
    }
    Ok(logins)
}
