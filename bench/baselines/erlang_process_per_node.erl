%% A process a node, a message a neighbour and cycle. Neither ETS nor a common clock: a node goes on as soon as it has heard
%% all of its peers; what comes early waits in the mailbox, where selective receive passes over it.
%%
%%   erlc erlang_process_per_node.erl
%%   erl -noshell +S 2:2 +P 4000000 -run erlang_process_per_node main NETWORK CYCLES LOST THREADS
-module(erlang_process_per_node).
-export([main/1]).

-define(PEERS, 8).
-define(WEIGHT, 0.9).      % of the peers' mean against the own state
-define(CHECK_CYCLE, 4).   % all baselines must have converged alike after this many

main([Path, CyclesText, LostText, ThreadsText]) ->
    Cycles = list_to_integer(CyclesText),
    Lost = list_to_integer(LostText),
    Threads = list_to_integer(ThreadsText),
    case Cycles >= ?CHECK_CYCLE andalso Lost >= 0 andalso Lost =< 128 andalso
         Threads =:= erlang:system_info(schedulers_online) of
        true -> ok;
        false -> fail("CYCLES must be at least 4, LOST at most 128, and THREADS the number of schedulers (+S)")
    end,
    {Listeners, Start} = network(Path),
    %% In a process of its own: what setting up needed is gone when it has ended.
    run(Listeners, Start, Cycles, Lost, Threads),
    halt(0);
main(_) ->
    fail("usage: -run erlang_process_per_node main NETWORK CYCLES LOST THREADS").

fail(What) ->
    io:format(standard_error, "~s~n", [What]),
    halt(1).

network(Path) ->
    case file:read_file(Path) of
        {ok, <<Nodes:32/little, Rest/binary>>} when byte_size(Rest) =:= Nodes * (4 * ?PEERS + 8) ->
            split_binary(Rest, Nodes * 4 * ?PEERS);
        _ ->
            fail(Path ++ " is no network file; compare.py makes them")
    end.

run(Listeners, Start, Cycles, Lost, Threads) ->
    Points = [{X, Y} || <<X:32/little-float, Y:32/little-float>> <= Start],
    Nodes = length(Points),
    ResidentBefore = resident_bytes(),
    Setup = erlang:monotonic_time(),
    Main = self(),
    All = list_to_tuple([spawn(fun() -> node_main(Main, Point, Seed, Cycles, Lost) end)
                         || {Point, Seed} <- lists:zip(Points, lists:seq(1, Nodes))]),
    introduce(1, All, Listeners),
    ready(Nodes),
    Started = erlang:monotonic_time(),
    [Node ! go || Node <- tuple_to_list(All)],
    ready(Nodes),
    Ended = erlang:monotonic_time(),
    erlang:garbage_collect(),
    Grown = resident_bytes() - ResidentBefore,
    [Node ! tell || Node <- tuple_to_list(All)],
    {Checks, Afters} = lists:unzip([receive {told, Check, After} -> {Check, After} end || _ <- Points]),
    Seconds = seconds(Started, Ended),
    io:format("{\"name\": \"erlang_process_per_node\", \"version\": \"Erlang/OTP ~s\", \"nodes\": ~b, \"threads\": ~b, "
              "\"cycles\": ~b, \"setup_seconds\": ~.6g, \"seconds\": ~.6g, \"node_cycles_per_second\": ~.6g, "
              "\"bytes_per_node\": ~.6g, \"spread_before\": ~.6g, \"spread_check\": ~.6g, \"spread_after\": ~.6g}~n",
              [erlang:system_info(otp_release), Nodes, Threads, Cycles, seconds(Setup, Started), Seconds,
               Nodes * Cycles / Seconds, Grown / Nodes, spread(Points), spread(Checks), spread(Afters)]).

introduce(Index, All, <<Indexes:(4 * ?PEERS)/binary, Rest/binary>>) ->
    element(Index, All) ! {listeners, [element(I + 1, All) || <<I:32/little>> <= Indexes]},
    introduce(Index + 1, All, Rest);
introduce(_, _, <<>>) ->
    ok.

ready(0) -> ok;
ready(Nodes) -> receive ready -> ready(Nodes - 1) end.

node_main(Main, {X, Y}, Seed, Cycles, Lost) ->
    receive {listeners, Listeners} -> ok end,
    Random = rand:mwc59_seed(Seed),
    Main ! ready,
    receive go -> ok end,
    drift(0, X, Y, Random, {Main, Cycles, Lost, Listeners}, none).

drift(Cycle, X, Y, _, {Main, Cycle, _, _}, Check) ->
    Main ! ready,
    receive tell -> Main ! {told, Check, {X, Y}} end;
drift(Cycle, X, Y, Random0, {_, _, Lost, Listeners} = Fixed, Check) ->
    publish({Cycle, X, Y}, Listeners),
    Random = rand:mwc59(Random0),
    %% 59 bits: seven for each of the eight messages.
    {SumX, SumY, Number} = hear(?PEERS, Cycle, rand:mwc59_value(Random), Lost, 0.0, 0.0, 0),
    {NewX, NewY} = moved(X, Y, SumX, SumY, Number),
    case Cycle + 1 of
        ?CHECK_CYCLE -> drift(?CHECK_CYCLE, NewX, NewY, Random, Fixed, {NewX, NewY});
        Next -> drift(Next, NewX, NewY, Random, Fixed, Check)
    end.

publish(_, []) -> ok;
publish(Said, [Listener | Rest]) ->
    Listener ! Said,
    publish(Said, Rest).

hear(0, _, _, _, SumX, SumY, Number) ->
    {SumX, SumY, Number};
hear(Left, Cycle, Bits, Lost, SumX, SumY, Number) ->
    receive
        {Cycle, X, Y} when Bits band 127 >= Lost ->
            hear(Left - 1, Cycle, Bits bsr 7, Lost, SumX + X, SumY + Y, Number + 1);
        {Cycle, _, _} ->
            hear(Left - 1, Cycle, Bits bsr 7, Lost, SumX, SumY, Number)
    end.

moved(X, Y, _, _, 0) -> {X, Y};
moved(X, Y, SumX, SumY, Number) -> {X + ?WEIGHT * (SumX / Number - X), Y + ?WEIGHT * (SumY / Number - Y)}.

%% Standard deviation of the nodes' states, both dimensions taken together.
spread(Points) ->
    N = length(Points),
    {MeanX, MeanY} = lists:foldl(fun({X, Y}, {SX, SY}) -> {SX + X / N, SY + Y / N} end, {0.0, 0.0}, Points),
    Squares = lists:foldl(fun({X, Y}, S) -> S + (X - MeanX) * (X - MeanX) + (Y - MeanY) * (Y - MeanY) end, 0.0, Points),
    math:sqrt(Squares / N).

resident_bytes() ->
    {ok, Text} = file:read_file("/proc/self/statm"),
    [_, Resident | _] = string:lexemes(binary_to_list(Text), " "),
    list_to_integer(Resident) * 4096.

seconds(From, To) -> erlang:convert_time_unit(To - From, native, nanosecond) / 1.0e9.
