//! The style sheet, the script and the icon: compiled in, named by their content.

use std::sync::LazyLock;

use axum::extract::{Path, RawQuery};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::page;

/// A file of the page.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

const fn script(name: &'static str, text: &'static str) -> Asset {
    Asset {
        name,
        content_type: "text/javascript; charset=utf-8",
        text,
    }
}

const ASSETS: [Asset; 8] = [
    Asset {
        name: "console.css",
        content_type: "text/css; charset=utf-8",
        text: include_str!("assets/console.css"),
    },
    script("console.js", include_str!("assets/console.js")),
    script("morph.js", include_str!("assets/morph.js")),
    script("times.js", include_str!("assets/times.js")),
    script("qr.js", include_str!("assets/qr.js")),
    script("phone.js", include_str!("assets/phone.js")),
    script("pages.js", include_str!("assets/pages.js")),
    Asset {
        name: "icon.svg",
        content_type: "image/svg+xml",
        text: include_str!("assets/icon.svg"),
    },
];

/// Twelve hex digits that stand for the content of all assets together with this version of the program.
pub(super) fn build() -> &'static str {
    static BUILD: LazyLock<String> = LazyLock::new(|| {
        let mut hash = Sha256::new();
        hash.update(env!("CARGO_PKG_VERSION"));
        for asset in &ASSETS {
            hash.update(asset.text);
        }
        let digest = hash.finalize();
        digest.iter().take(6).map(|b| format!("{b:02x}")).collect()
    });
    &BUILD
}

/// Where the page finds an asset: a new content is a new address.
pub(super) fn address(name: &str) -> String {
    format!("/assets/{name}?{}", build())
}

/// `GET /assets/{name}`.
pub(super) async fn get(
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return page::not_found();
    };
    let tag = format!("\"{}\"", build());
    // Without the content's name in the address, a copy may be kept but has to be asked about.
    let cache = if query.as_deref() == Some(build()) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let known = headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|known| matches!(known.trim().trim_start_matches("W/"), t if t == tag || t == "*"));
    let caching = [(ETAG, tag), (CACHE_CONTROL, cache.to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, asset.content_type)], asset.text).into_response()
}
