// The rows of the registry for what people in a room do: profile, moderation, lobby, data relay, diagnosis.
// Must not know sessions or rooms.
import RTP

extension MessageDescriptor {
    static let peopleToServer: [MessageDescriptor] = [
        .init(
            .updateMe,
            .request,
            UpdateMe.self,
            result: ParticipantResult.self,
            "Changes the own name and attributes.",
            "`attrs` is merged, null removes a key; \(Limits.Rooms.attributeBytes / kibibyte) KiB in all."
        ),
        .init(
            .updateRoom,
            .request,
            UpdateRoom.self,
            result: RoomResult.self,
            grant: .moderate,
            "Changes what the room says about itself.",
            "`meta` is merged, null removes a key; \(Limits.Rooms.attributeBytes / kibibyte) KiB in all."
        ),
        .init(
            .hand,
            .request,
            RaiseHand.self,
            result: ParticipantResult.self,
            "Raises or lowers the own hand."
        ),
        .init(
            .reaction,
            .either,
            React.self,
            result: Done.self,
            "Shows everybody a reaction for a moment.",
            "`emoji` has at most \(Limits.Rooms.reactionBytes) bytes."
        ),
        .init(
            .rosterPage,
            .request,
            RosterQuery.self,
            result: RosterPage.self,
            "Reads the roster, a page at a time.",
            "`limit` is at most \(Limits.Rooms.rosterPage)."
        ),
        .init(
            .forceMute,
            .request,
            ForceMute.self,
            result: TracksResult.self,
            grant: .moderate,
            "Mutes what others publish.",
            "`tid`, or `pid` and perhaps `source`, or `all: true`: microphones unless `source`, of all who do not moderate."
        ),
        .init(
            .askToUnmute,
            .request,
            AskToUnmute.self,
            result: UnmuteRequest.self,
            grant: .moderate,
            "Asks somebody to unmute, and allows it where it was not.",
            "`tid`, or `pid` and `source`."
        ),
        .init(
            .kick,
            .request,
            Kick.self,
            result: Removal.self,
            grant: .moderate,
            "Puts somebody out of the room."
        ),
        .init(
            .changeRole,
            .request,
            ChangeRole.self,
            result: RoleResult.self,
            grant: .moderate,
            "Changes what somebody may do, at once."
        ),
        .init(
            .lock,
            .request,
            LockRoom.self,
            result: RoomResult.self,
            grant: .moderate,
            "Locks or unlocks the room."
        ),
        .init(
            .stopShare,
            .request,
            StopShare.self,
            result: StoppedTracks.self,
            grant: .moderate,
            "Ends the screen that somebody shares."
        ),
        .init(
            .spotlight,
            .request,
            Spotlight.self,
            result: RoomResult.self,
            grant: .moderate,
            "Says whom everybody should see large.",
            "`pid`, or null."
        ),
        .init(
            .admit,
            .request,
            Admit.self,
            result: Admission.self,
            grant: .moderate,
            "Lets in who waits, or turns it away."
        ),
        .init(
            .sendData,
            .either,
            SendData.self,
            result: DataReceipt.self,
            grant: .data,
            "Sends a message of the application to others in the room.",
            """
            `payload` is any JSON of at most \(Limits.Relay.payloadBytes / kibibyte) KiB. See [Messages of the \
            application](#messages-of-the-application).
            """
        ),
        .init(
            .diagnose,
            .request,
            Diagnose.self,
            result: Diagnosis.self,
            "Why is this not heard or seen?",
            "Nothing, or `tid`, or `pid` and `source`. See [Diagnosis](#diagnosis)."
        ),
        .init(
            .reportDiagnosis,
            .notification,
            DiagnosisReport.self,
            "What the client found out about itself; counted and logged."
        ),
    ]

    static let peopleToClient: [MessageDescriptor] = [
        .init(
            .roomUpdated,
            .critical,
            recovery: .state,
            RoomUpdated.self,
            "The room was locked, unlocked or described anew."
        ),
        .init(
            .roomMove,
            .critical,
            recovery: .keyed,
            RoomMove.self,
            "Please go to another room.",
            "With that token, within \(seconds(Limits.Rooms.moveTimeout)) s."
        ),
        .init(
            .permissions,
            .critical,
            recovery: .state,
            Permissions.self,
            "What the client may do has changed.",
            "To the one concerned."
        ),
        .init(
            .forceMuted,
            .critical,
            recovery: .state,
            ForceMuted.self,
            "A moderator muted a track of the client, or changed whether it may unmute."
        ),
        .init(
            .askedToUnmute,
            .critical,
            recovery: .keyed,
            UnmuteRequest.self,
            "A moderator asks the client to unmute.",
            "Stays until its next `track.mute` of that source."
        ),
        .init(
            .tracksStopped,
            .critical,
            recovery: .state,
            TracksStopped.self,
            "A moderator ended tracks of the client."
        ),
        .init(
            .lobbyWaiting,
            .critical,
            recovery: .keyed,
            LobbyWaiting.self,
            "Somebody waits to be admitted; to who may admit."
        ),
        .init(
            .lobbyAdmitted,
            .critical,
            recovery: .state,
            LobbyResolved.self,
            "Somebody was admitted; to who may admit, and to the one who waited."
        ),
        .init(
            .lobbyDenied,
            .critical,
            recovery: .state,
            LobbyResolved.self,
            "Somebody was turned away; to who may admit, and to the one who waited."
        ),
        .init(
            .lobbyLeft,
            .critical,
            recovery: .state,
            LobbyResolved.self,
            "Somebody who waited has gone; to who may admit."
        ),
        .init(
            .data,
            .critical,
            recovery: .relay,
            RelayedData.self,
            "A message of the application; one that was sent unreliably is ephemeral and has no `relaySeq`."
        ),
        .init(.reaction, .ephemeral, Reaction.self, "Somebody shows a reaction."),
    ]
}
