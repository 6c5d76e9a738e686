//! Events that the fold has counted and no part holds yet: a [`Part`] while it is being built.

use crate::block::{Block, Dict, Dicts, EventRow};
use crate::event::{Day, Measure, SiteId, Text};
use crate::intern::{Interner, Tuples};
use crate::segment::{Part, SegmentEvent};

#[derive(Clone, Default)]
pub struct Fresh {
    page: Interner,
    hostname: Interner,
    origin: [Interner; 8],
    place: [Interner; 3],
    device: [Interner; 5],
    language: Interner,
    name: Interner,
    prop_key: Interner,
    prop_value: Interner,
    origins: Tuples<8>,
    places: Tuples<3>,
    devices: Tuples<5>,
    events: Vec<SegmentEvent>,
    props: Vec<(u32, u32)>,
    numbers: Vec<(Measure, i64)>,
}

/// A block's codes in the part, made as they are needed.
pub struct PartCodes {
    page: Vec<u32>,
    hostname: Vec<u32>,
    origin: Vec<u32>,
    place: Vec<u32>,
    device: Vec<u32>,
    language: Vec<u32>,
    name: Vec<u32>,
    prop_key: Vec<u32>,
    prop_value: Vec<u32>,
}

const UNKNOWN: u32 = u32::MAX;

impl PartCodes {
    pub fn new(block: &Block) -> PartCodes {
        let dict = |d: &Dict| vec![UNKNOWN; d.0.len()];
        PartCodes {
            page: dict(&block.dicts.page),
            hostname: dict(&block.dicts.hostname),
            origin: vec![UNKNOWN; block.origins.len()],
            place: vec![UNKNOWN; block.places.len()],
            device: vec![UNKNOWN; block.devices.len()],
            language: dict(&block.dicts.language),
            name: dict(&block.dicts.name),
            prop_key: dict(&block.dicts.prop_key),
            prop_value: dict(&block.dicts.prop_value),
        }
    }
}

/// What a block's code is here: looked up once, then remembered.
fn text(known: &mut [u32], code: u32, dict: &Dict, here: &mut Interner) -> u32 {
    let slot = &mut known[code as usize];
    if *slot == UNKNOWN {
        *slot = here.code(&dict.0[code as usize]);
    }
    *slot
}

fn tuple<const N: usize>(
    known: &mut [u32],
    index: u32,
    tuples: &[[u32; N]],
    dicts: &[Dict; N],
    values: &mut [Interner; N],
    here: &mut Tuples<N>,
) -> u32 {
    let slot = &mut known[index as usize];
    if *slot == UNKNOWN {
        let codes = tuples[index as usize];
        *slot = here.index(std::array::from_fn(|i| values[i].code(&dicts[i].0[codes[i] as usize])));
    }
    *slot
}

/// The parts of a row that belong to its batch.
pub struct Shared {
    pub place: u32,
    pub device: u32,
    pub language: u32,
}

impl Fresh {
    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Bytes held, about; texts left out.
    pub fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<SegmentEvent>()
            + self.props.capacity() * size_of::<(u32, u32)>()
            + self.numbers.capacity() * size_of::<(Measure, i64)>()
    }

    /// Adds an event of a block.
    #[allow(clippy::too_many_arguments)]
    pub fn push(
        &mut self,
        codes: &mut PartCodes,
        block: &Block,
        shared: &Shared,
        row: &EventRow,
        props: &[(u32, u32)],
        numbers: &[(Measure, i64)],
        number: u32,
        visit: Option<u32>,
    ) {
        let dicts = &block.dicts;
        let event = SegmentEvent {
            number,
            visit,
            kind: row.kind,
            interactive: row.interactive,
            at_ms: row.at_ms,
            offset_s: row.offset_s,
            page: text(&mut codes.page, row.page, &dicts.page, &mut self.page),
            hostname: text(&mut codes.hostname, row.hostname, &dicts.hostname, &mut self.hostname),
            origin: tuple(
                &mut codes.origin,
                row.origin,
                &block.origins,
                &dicts.origin,
                &mut self.origin,
                &mut self.origins,
            ),
            place: tuple(
                &mut codes.place,
                shared.place,
                &block.places,
                &dicts.place,
                &mut self.place,
                &mut self.places,
            ),
            device: tuple(
                &mut codes.device,
                shared.device,
                &block.devices,
                &dicts.device,
                &mut self.device,
                &mut self.devices,
            ),
            language: text(&mut codes.language, shared.language, &dicts.language, &mut self.language),
            name: text(&mut codes.name, row.name, &dicts.name, &mut self.name),
            props: row.props,
            numbers: row.numbers,
            engaged_ms: row.engaged_ms,
            scroll: row.scroll,
            revenue: row.revenue,
        };
        self.events.push(event);
        for &(key, value) in props {
            let key = text(&mut codes.prop_key, key, &dicts.prop_key, &mut self.prop_key);
            let value = text(&mut codes.prop_value, value, &dicts.prop_value, &mut self.prop_value);
            self.props.push((key, value));
        }
        self.numbers.extend_from_slice(numbers);
    }

    /// The part that these events make, in log order.
    pub fn to_part(&self, site: SiteId, day: Day) -> Part {
        let dict = |i: &Interner| Dict(i.values().to_vec());
        Part {
            site,
            day,
            dicts: Dicts {
                page: dict(&self.page),
                hostname: dict(&self.hostname),
                origin: std::array::from_fn(|i| dict(&self.origin[i])),
                place: std::array::from_fn(|i| dict(&self.place[i])),
                device: std::array::from_fn(|i| dict(&self.device[i])),
                language: dict(&self.language),
                name: dict(&self.name),
                prop_key: dict(&self.prop_key),
                prop_value: dict(&self.prop_value),
            },
            origins: self.origins.values().to_vec(),
            places: self.places.values().to_vec(),
            devices: self.devices.values().to_vec(),
            events: self.events.clone(),
            props: self.props.clone(),
            numbers: self.numbers.clone(),
        }
    }

    /// Adds the events of a part, in its order; `visit` maps its visits' numbers.
    pub fn extend(&mut self, part: &Part) {
        let dicts = &part.dicts;
        let here = |interner: &mut Interner, dict: &Dict| -> Vec<u32> {
            dict.0.iter().map(|t: &Text| interner.code(t)).collect()
        };
        let page = here(&mut self.page, &dicts.page);
        let hostname = here(&mut self.hostname, &dicts.hostname);
        let language = here(&mut self.language, &dicts.language);
        let name = here(&mut self.name, &dicts.name);
        let prop_key = here(&mut self.prop_key, &dicts.prop_key);
        let prop_value = here(&mut self.prop_value, &dicts.prop_value);
        let origin = tuples_here(&mut self.origins, &mut self.origin, &part.origins, &dicts.origin);
        let place = tuples_here(&mut self.places, &mut self.place, &part.places, &dicts.place);
        let device = tuples_here(&mut self.devices, &mut self.device, &part.devices, &dicts.device);
        self.events.extend(part.events.iter().map(|e| SegmentEvent {
            page: page[e.page as usize],
            hostname: hostname[e.hostname as usize],
            origin: origin[e.origin as usize],
            place: place[e.place as usize],
            device: device[e.device as usize],
            language: language[e.language as usize],
            name: name[e.name as usize],
            ..*e
        }));
        let props = part.props.iter().map(|&(k, v)| (prop_key[k as usize], prop_value[v as usize]));
        self.props.extend(props);
        self.numbers.extend_from_slice(&part.numbers);
    }

    /// The code of a page, for visits whose pages stand beside the events.
    pub fn page(&mut self, page: &str) -> u32 {
        self.page.code(page)
    }

    pub fn language(&mut self, language: &str) -> u32 {
        self.language.code(language)
    }

    pub fn origin(&mut self, texts: [&str; 8]) -> u32 {
        let codes = std::array::from_fn(|i| self.origin[i].code(texts[i]));
        self.origins.index(codes)
    }

    pub fn place(&mut self, texts: [&str; 3]) -> u32 {
        let codes = std::array::from_fn(|i| self.place[i].code(texts[i]));
        self.places.index(codes)
    }

    pub fn device(&mut self, texts: [&str; 5]) -> u32 {
        let codes = std::array::from_fn(|i| self.device[i].code(texts[i]));
        self.devices.index(codes)
    }
}

fn tuples_here<const N: usize>(
    here: &mut Tuples<N>,
    values: &mut [Interner; N],
    tuples: &[[u32; N]],
    dicts: &[Dict; N],
) -> Vec<u32> {
    let codes: [Vec<u32>; N] =
        std::array::from_fn(|i| dicts[i].0.iter().map(|t| values[i].code(t)).collect());
    tuples.iter().map(|t| here.index(std::array::from_fn(|i| codes[i][t[i] as usize]))).collect()
}
