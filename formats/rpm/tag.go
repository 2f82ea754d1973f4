package rpm

// A tag numbers a value of a header. The names are rpm's without RPMTAG_.
type tag uint32

const (
	tagHeaderSignatures tag = 62
	tagHeaderImmutable  tag = 63
	tagHeaderI18NTable  tag = 100

	// In the signature header.
	tagSigDSA             tag = 267 // over the main header; every kind of key but RSA
	tagSigRSA             tag = 268
	tagSigSHA1            tag = 269
	tagSigLongSize        tag = 270
	tagSigLongArchiveSize tag = 271
	tagSigSHA256          tag = 273
	tagSigSize            tag = 1000
	tagSigMD5             tag = 1004
	tagSigPayloadSize     tag = 1007

	// In the main header.
	tagName              tag = 1000
	tagVersion           tag = 1001
	tagRelease           tag = 1002
	tagEpoch             tag = 1003
	tagSummary           tag = 1004
	tagDescription       tag = 1005
	tagBuildTime         tag = 1006
	tagBuildHost         tag = 1007
	tagSize              tag = 1009
	tagDistribution      tag = 1010
	tagVendor            tag = 1011
	tagLicense           tag = 1014
	tagPackager          tag = 1015
	tagGroup             tag = 1016
	tagURL               tag = 1020
	tagOS                tag = 1021
	tagArch              tag = 1022
	tagPreIn             tag = 1023
	tagPostIn            tag = 1024
	tagPreUn             tag = 1025
	tagPostUn            tag = 1026
	tagOldFilenames      tag = 1027
	tagFileSizes         tag = 1028
	tagFileModes         tag = 1030
	tagFileRdevs         tag = 1033
	tagFileMtimes        tag = 1034
	tagFileDigests       tag = 1035
	tagFileLinkTos       tag = 1036
	tagFileFlags         tag = 1037
	tagFileUserName      tag = 1039
	tagFileGroupName     tag = 1040
	tagSourceRPM         tag = 1044
	tagFileVerifyFlags   tag = 1045
	tagArchiveSize       tag = 1046
	tagProvideName       tag = 1047
	tagRequireFlags      tag = 1048
	tagRequireName       tag = 1049
	tagRequireVersion    tag = 1050
	tagConflictFlags     tag = 1053
	tagConflictName      tag = 1054
	tagConflictVersion   tag = 1055
	tagRPMVersion        tag = 1064
	tagChangelogTime     tag = 1080
	tagChangelogName     tag = 1081
	tagChangelogText     tag = 1082
	tagPreInProg         tag = 1085
	tagPostInProg        tag = 1086
	tagPreUnProg         tag = 1087
	tagPostUnProg        tag = 1088
	tagObsoleteName      tag = 1090
	tagFileDevices       tag = 1095
	tagFileInodes        tag = 1096
	tagFileLangs         tag = 1097
	tagProvideFlags      tag = 1112
	tagProvideVersion    tag = 1113
	tagObsoleteFlags     tag = 1114
	tagObsoleteVersion   tag = 1115
	tagDirIndexes        tag = 1116
	tagBaseNames         tag = 1117
	tagDirNames          tag = 1118
	tagDistURL           tag = 1123
	tagPayloadFormat     tag = 1124
	tagPayloadCompressor tag = 1125
	tagPayloadFlags      tag = 1126
	tagPlatform          tag = 1132
	tagDistTag           tag = 1155
	tagLongFileSizes     tag = 5008
	tagLongSize          tag = 5009
	tagFileDigestAlgo    tag = 5011
	tagBugURL            tag = 5012
	tagPostInFlags       tag = 5021
	tagVCS               tag = 5034
	tagRecommendName     tag = 5046
	tagRecommendVersion  tag = 5047
	tagRecommendFlags    tag = 5048
	tagSuggestName       tag = 5049
	tagSuggestVersion    tag = 5050
	tagSuggestFlags      tag = 5051
	tagSupplementName    tag = 5052
	tagSupplementVersion tag = 5053
	tagSupplementFlags   tag = 5054
	tagEnhanceName       tag = 5055
	tagEnhanceVersion    tag = 5056
	tagEnhanceFlags      tag = 5057
	tagEncoding          tag = 5062
	tagPayloadDigest     tag = 5092
	tagPayloadDigestAlgo tag = 5093
	tagModularityLabel   tag = 5096
	tagPayloadDigestAlt  tag = 5097
)

// relationTags lists the kinds of relations a header holds, in the order of
// Meta.Fields.
var relationTags = []struct {
	field                string
	name, flags, version tag
}{
	{"provides", tagProvideName, tagProvideFlags, tagProvideVersion},
	{"requires", tagRequireName, tagRequireFlags, tagRequireVersion},
	{"conflicts", tagConflictName, tagConflictFlags, tagConflictVersion},
	{"obsoletes", tagObsoleteName, tagObsoleteFlags, tagObsoleteVersion},
	{"recommends", tagRecommendName, tagRecommendFlags, tagRecommendVersion},
	{"suggests", tagSuggestName, tagSuggestFlags, tagSuggestVersion},
	{"supplements", tagSupplementName, tagSupplementFlags, tagSupplementVersion},
	{"enhances", tagEnhanceName, tagEnhanceFlags, tagEnhanceVersion},
}

// The bits of relation flags.
const (
	senseLess         = 1 << 1
	senseGreater      = 1 << 2
	senseEqual        = 1 << 3
	sensePrereq       = 1 << 6
	senseInterp       = 1 << 8
	senseScriptPre    = 1 << 9
	senseScriptPost   = 1 << 10
	senseScriptPreUn  = 1 << 11
	senseScriptPostUn = 1 << 12
	senseRPMLib       = 1 << 24
)

// The bits of file flags.
const (
	fileConfig    = 1 << 0
	fileDoc       = 1 << 1
	fileNoReplace = 1 << 4
	fileGhost     = 1 << 6
)

// hashSHA256 is SHA-256 in OpenPGP's numbers, which headers use.
const hashSHA256 = 8
