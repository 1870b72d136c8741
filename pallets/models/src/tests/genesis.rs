//! Models of the genesis state.

use crate::{fixtures::*, mock::*, *};
use frame::testing_prelude::*;

fn demo() -> GenesisModel {
    let header = decoder(8);
    GenesisModel {
        name: "demo".into(),
        header: header.encode(),
        entries: entries(&header).into_inner(),
        cuts: vec![vec![], vec![4]],
    }
}

#[test]
fn genesis_model_has_no_owner_and_no_deposit() {
    ext(vec![demo()]).execute_with(|| {
        let id = model_root(&demo().header, &demo().entries);
        let model = Models::<Test>::get(id).unwrap();
        assert_eq!((model.owner, model.deposit, model.active), (None, 0, true));
        assert_eq!(model.templates, templates(&[&[], &[4]], 8));
        Registry::do_try_state().unwrap();
        assert_noop!(Registry::deregister(RuntimeOrigin::signed(alice()), id), Error::<Test>::NotOwner);
        assert_ok!(Registry::deregister(RuntimeOrigin::root(), id));
        assert_eq!(last_event(), Event::ModelRemoved { model: id, deposit: 0 });
    });
}

#[test]
fn genesis_config_survives_json() {
    let config = GenesisConfig::<Test> { models: vec![demo()], ..Default::default() };
    let json = serde_json::to_string(&config).unwrap();
    let back: GenesisConfig<Test> = serde_json::from_str(&json).unwrap();
    assert_eq!(back.models, config.models);
}

#[test]
#[should_panic(expected = "models.models[1] \"demo\": the same package is given twice")]
fn genesis_same_model_twice_stops() {
    ext(vec![demo(), demo()]);
}

#[test]
#[should_panic(expected = "models.models[0] \"demo\": entries: 0 roots, but the header implies")]
fn genesis_incomplete_package_stops() {
    ext(vec![GenesisModel { entries: vec![], ..demo() }]);
}

#[test]
#[should_panic(expected = "cuts: first layers of the later stages, ascending, each from 1 to below 8")]
fn genesis_cut_behind_the_last_layer_stops() {
    ext(vec![GenesisModel { cuts: vec![vec![9]], ..demo() }]);
}

#[test]
#[should_panic(expected = "cuts: at least one template")]
fn genesis_model_without_template_stops() {
    ext(vec![GenesisModel { cuts: vec![], ..demo() }]);
}
