//! The books of asks.

use crate::*;
use assay_primitives::{
    market,
    traits::{BondManager, ModelDirectory},
    AccountId, Ask, Balance, SpanKey, Tick, MAX_HOLDERS,
};
use frame::{prelude::*, token::fungible::MutateHold};

impl<T: Config> Pallet<T> {
    /// Backing of the smallest job that is checked by three controllers: one prompt id and one generated one, at the reserve
    /// price.
    pub(crate) fn minimum_backing(key: &SpanKey) -> Option<Balance> {
        let params = T::Params::get();
        let work = T::Models::work(key, 0, 1, 0)?;
        market::backing(&params, 3, market::pay(params.base_price, work)?, 0)
    }

    pub(crate) fn do_ask(controller: AccountId, key: SpanKey, ask: Ask) -> DispatchResult {
        let provider = Providers::<T>::get(&controller).ok_or(Error::<T>::NotRegistered)?;
        let spec_id = Self::check_ask(&provider, &key, &ask)?;
        let needed = Self::minimum_backing(&key).ok_or(Error::<T>::UnknownSpan)?;
        ensure!(T::Bonds::free_exposure(&controller) >= needed, Error::<T>::InsufficientExposure);
        if Books::<T>::decode_len(key).unwrap_or_default() >= MAX_HOLDERS as usize {
            Self::evict_uncovered(&controller, &key, needed)?;
        }
        let usable_from = T::Clock::get().saturating_add(T::Params::get().ask_delay);
        Self::place(controller, provider, key, ask, spec_id, usable_from, T::AskDeposit::get())
    }

    /// An ask of the genesis state: usable at once, without deposit. Its bond may not exist yet; whoever has none is not
    /// matched.
    pub(crate) fn genesis_ask(controller: AccountId, key: SpanKey, ask: Ask) -> DispatchResult {
        let provider = Providers::<T>::get(&controller).ok_or(Error::<T>::NotRegistered)?;
        let spec_id = Self::check_ask(&provider, &key, &ask)?;
        Self::place(controller, provider, key, ask, spec_id, 0, 0)
    }

    /// Makes room in a full book: an ask stays only while its holder's bond covers a minimum job, or the holder is at
    /// work on the span, so that nobody can fill a book with empty offers. The whole bond counts, not what of it is
    /// free: whoever backs work elsewhere with it must not lose its place and its seniority for being busy.
    fn evict_uncovered(newcomer: &AccountId, key: &SpanKey, needed: Balance) -> DispatchResult {
        let uncovered = |who: &AccountId| T::Bonds::bond(who) < needed && !InUse::<T>::contains_key(who, key);
        let book = Books::<T>::get(key);
        if book.iter().any(|s| s.controller == *newcomer) {
            return Ok(());
        }
        let gone = book.into_iter().map(|s| s.controller).find(uncovered).ok_or(Error::<T>::BookFull)?;
        Self::do_withdraw_ask(&gone, key)
    }

    fn place(
        controller: AccountId,
        mut provider: Provider,
        key: SpanKey,
        ask: Ask,
        spec_id: u32,
        usable_from: Tick,
        deposit: Balance,
    ) -> DispatchResult {
        let mut book = Books::<T>::get(key);
        match book.binary_search_by(|s| s.controller.cmp(&controller)) {
            Ok(at) => {
                let standing = book.get_mut(at).ok_or(Error::<T>::NoAsk)?;
                standing.ask = ask.clone();
                standing.usable_from = usable_from;
            }
            Err(at) => {
                let since = T::Clock::get();
                let standing =
                    Standing { controller: controller.clone(), ask: ask.clone(), spec_id, usable_from, since, deposit };
                book.try_insert(at, standing).map_err(|_| Error::<T>::BookFull)?;
                if let Err(at) = provider.spans.binary_search(&key) {
                    provider.spans.try_insert(at, key).map_err(|_| Error::<T>::TooManyAsks)?;
                }
                T::Currency::hold(&HoldReason::Ask.into(), &controller, deposit)?;
                Providers::<T>::insert(&controller, provider);
            }
        }
        Books::<T>::insert(key, book);
        Self::deposit_event(Event::AskSet { controller, key, ask, usable_from });
        Ok(())
    }

    /// Returns the spec id of the model.
    fn check_ask(provider: &Provider, key: &SpanKey, ask: &Ask) -> Result<u32, Error<T>> {
        ensure!(T::Models::has_span(key), Error::<T>::UnknownSpan);
        let spec_id = T::Models::info(key.model).ok_or(Error::<T>::UnknownSpan)?.spec_id;
        ensure!(provider.supports(spec_id), Error::<T>::UnsupportedSpec);
        ensure!(ask.slots > 0 || ask.check_slots > 0, Error::<T>::NoSlots);
        let params = T::Params::get();
        ensure!(ask.rate >= params.min_rate, Error::<T>::RateTooLow);
        ensure!(ask.price <= params.base_price, Error::<T>::PriceAboveReserve);
        Ok(spec_id)
    }

    pub(crate) fn do_withdraw_ask(controller: &AccountId, key: &SpanKey) -> DispatchResult {
        let mut provider = Providers::<T>::get(controller).ok_or(Error::<T>::NotRegistered)?;
        let mut book = Books::<T>::get(key);
        let at = book.binary_search_by(|s| s.controller.cmp(controller)).map_err(|_| Error::<T>::NoAsk)?;
        let standing = book.remove(at);
        provider.spans.retain(|k| k != key);
        T::Currency::release(&HoldReason::Ask.into(), controller, standing.deposit, Precision::BestEffort)?;
        Providers::<T>::insert(controller, provider);
        if book.is_empty() {
            Books::<T>::remove(key);
        } else {
            Books::<T>::insert(key, book);
        }
        Self::deposit_event(Event::AskWithdrawn { controller: controller.clone(), key: *key });
        Ok(())
    }
}
